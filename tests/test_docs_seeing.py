"""The page "Seeing what happens" is true: it quotes the lines that are written, and its lists are complete.

Its recipes, and what has to be configured, are in ``tests/live/test_seeing.py``.
"""

import logging
import re
import time
import types
from typing import get_args

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from django.urls import path

from django_websocket import require_websocket, websocket_login_required
from django_websocket.connection.info import ConnectionInfo
from django_websocket.connection.stats import Cause, ClosedBy, ConnectionStats
from django_websocket.signals import websocket_accepted, websocket_closed, websocket_refused
from django_websocket.testing import WebSocketClient

from .observing import received, records
from .test_docs import ROOT, code_blocks, run

pytestmark = pytest.mark.django_db

PAGE = "docs/seeing.rst"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
LOGGER = "django_websocket.connection"


def example(name):
    """Return the names that the one block which defines ``name`` defines."""
    (block,) = [block for block in code_blocks(PAGE, TEXT) if f"def {name}(" in block.source]
    return run(block._replace(fragment=False))


def table(label):
    """Return the rows of the first table behind a label, as the texts of their cells."""
    text = TEXT.partition(f"\n.. _{label}:\n")[2].partition(":header-rows:")[2]
    # The table ends where a line begins at the margin.
    rows = re.split(r"\n\S", text.partition("\n\n")[2])[0].split("    * - ")[2:]
    return [[" ".join(cell.split()) for cell in row.split("\n      - ")] for row in rows]


def quoted(cell):
    """Return what a cell has in double backticks, without quotation marks."""
    return re.findall('``"?(\\w+)"?``', cell)


@websocket_login_required
@require_websocket
def room(request, name):
    request.websocket.send(f"hello {name}")
    for message in request.websocket:
        request.websocket.send(message)
        time.sleep(3.1 / 4)


@require_websocket
def restless(request):
    request.websocket.wait()


@pytest.fixture
def client():
    """Return a client that is logged in as the user of the page."""
    urls = types.ModuleType("documented_urls")
    urls.urlpatterns = [
        path("room/<name>/", room),
        path("restless/", restless),
        path("connected/", example("connected")["connected"]),
    ]
    with override_settings(ROOT_URLCONF=urls):
        client = WebSocketClient()
        client.force_login(User.objects.create(pk=12, username="ann", is_staff=True))
        yield client


def test_the_lines(client, caplog):
    """Guards each figure in them."""
    caplog.set_level(logging.INFO, LOGGER)
    (block,) = [block for block in code_blocks(PAGE, TEXT, "text") if "WebSocket accepted" in block.source]
    with client.websocket("/room/tea/?token=secret") as websocket:
        for _ in range(4):
            websocket.send("thirteen byte")
        for _ in range(5):
            websocket.wait()
    assert [record.getMessage() for record in records(caplog, LOGGER)] == block.source.strip().splitlines()


def test_the_receivers(client, caplog):
    receivers = example("note_lost_clients")
    with client.websocket("/restless/") as websocket:
        websocket.close()
    with client.websocket("/restless/") as websocket:
        websocket.vanish()
    client.get("/restless/")
    with WebSocketClient().websocket("/room/tea/") as websocket:
        assert websocket.wait() is None
    assert [record.getMessage() for record in records(caplog, "mysite.websockets")] == [
        "/restless/ has lost its client after 0 s (normal)",
        "/restless/ was refused with 400: this address takes WebSockets only",
        "/room/tea/ was refused with 4401: not logged in",
    ]
    # A signal does not keep its receivers.
    assert receivers


def test_the_signals(client):
    sent = {}
    with (
        received(websocket_accepted) as accepted,
        received(websocket_closed) as closed,
        received(websocket_refused) as refused,
    ):
        with client.websocket("/restless/") as websocket:
            websocket.close()
        client.get("/restless/")
    for name, calls in (("accepted", accepted), ("closed", closed), ("refused", refused)):
        ((arguments),) = calls
        sent[f"websocket_{name}"] = [name for name in arguments if name not in {"sender", "signal"}]
    entries = re.findall(r"\.\. data:: django_websocket\.signals\.(\w+)\n\n[\s\S]*?Arguments: ([^.]+)\.", TEXT)
    assert {signal: quoted(arguments) for signal, arguments in entries} == sent


def test_the_view(client):
    with client.websocket("/room/tea/") as websocket:
        assert websocket.wait() == "hello tea"
        found = client.get("/connected/").json()
    assert len(found.pop("silent")) == 1
    assert found == {"by address": {"room/<name>/": 1}, "users": ["12"]}
    assert client.get("/connected/").json() == {"by address": {}, "users": [], "silent": []}


@pytest.mark.parametrize(("label", "kind"), [("stats", ConnectionStats), ("connections", ConnectionInfo)])
def test_every_field_is_documented(label, kind):
    assert [name for field, _ in table(label) for name in quoted(field)] == list(kind._fields)


@pytest.mark.parametrize(("field", "values"), [("closed_by", ClosedBy), ("cause", Cause)])
def test_every_value_is_documented(field, values):
    meanings = {name: meaning for names, meaning in table("stats") for name in quoted(names)}
    assert quoted(meanings[field]) == list(get_args(values))


def test_what_is_made_of_the_fields_is_documented():
    made = [name for name, value in vars(ConnectionStats).items() if isinstance(value, property)]
    assert re.findall(r"``stats\.(\w+)``", TEXT) == made
