"""The page on htmx and Turbo is true: its views and templates work together, and its tag has its place in a page."""

import json
import re
from typing import Any

import pytest
from django.urls import path

from django_websocket import Group, WebSocket
from django_websocket.testing import WebSocketClient

from .test_docs import ROOT, code_blocks, run

PAGE = "docs/htmx.rst"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def templates() -> dict[str, str]:
    """Return the templates of the page by their captions."""
    block = r"^\.\. code-block:: html\+django\n    :caption: (.+)\n\n((?:(?:    .*)?\n)+)"
    found = re.findall(block, TEXT, re.MULTILINE)
    return {name: re.sub("^    ", "", body, flags=re.MULTILINE).strip() for name, body in found}


def views() -> dict[str, Any]:
    names: dict[str, Any] = {}
    for block in code_blocks(PAGE, TEXT):
        names.update(run(block))
    return names


VIEWS = views()
urlpatterns = [path(f"{name}/", VIEWS[name], name=name) for name in ("shout", "scores", "orders")]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture(autouse=True)
def _templates(settings):
    (backend,) = settings.TEMPLATES
    scores = {
        "scores/all.html": "{% for side, score in scores.items %}{% include 'scores/score.html' %}{% endfor %}",
        "scores/score.html": '<b id="{{ side }}" hx-swap-oob="true">{{ score }}</b>',
    }
    loaders = [("django.template.loaders.locmem.Loader", {**templates(), **scores})]
    settings.TEMPLATES = [{**backend, "APP_DIRS": False, "OPTIONS": {**backend["OPTIONS"], "loaders": loaders}}]


def test_the_address_is_on_the_page():
    page = WebSocketClient().get("/shout/", secure=True, headers={"host": "localhost:8443"}).text
    assert 'ws-connect="wss://localhost:8443/shout/"' in page


@pytest.mark.parametrize("headers", ["HEADERS", "headers"])
def test_a_form_is_taken_and_answered(headers):
    with WebSocketClient().websocket("/shout/") as websocket:
        for text in ("hello", "", "x" * 201, "<b>"):
            websocket.send_json({"text": text, headers: {"HX-Request": "true"}})
        websocket.assert_message('<ul id="said" hx-swap-oob="beforeend"><li>HELLO</li></ul>')
        websocket.assert_message('<ul id="said" hx-swap-oob="beforeend"><li>&lt;B&gt;</li></ul>')


@pytest.mark.parametrize("message", ["hello", json.dumps(["hello"])])
def test_what_is_no_message_of_htmx_closes_for_good(message):
    with WebSocketClient().websocket("/shout/") as websocket:
        websocket.send(message)
        assert websocket.wait() is None
        assert (websocket.close_code, websocket.close_reason) == (1008, "this is no message of htmx")


def test_the_state_comes_first():
    with WebSocketClient().websocket("/scores/") as websocket:
        websocket.assert_message('<b id="home" hx-swap-oob="true">3</b><b id="guest" hx-swap-oob="true">1</b>')
        Group("scores").send_json({"side": "home", "score": 4})
        websocket.assert_message('<b id="home" hx-swap-oob="true">4</b>')


def test_what_changes_before_the_state_is_sent_comes_behind_it(monkeypatch):
    """The view reads its state, and then somebody scores."""
    send_template = WebSocket.send_template

    def score(websocket, name, *arguments, **options):
        if name == "scores/all.html":
            Group("scores").send_json({"side": "home", "score": 4})
        send_template(websocket, name, *arguments, **options)

    monkeypatch.setattr(WebSocket, "send_template", score)
    with WebSocketClient().websocket("/scores/") as websocket:
        assert ">3<" in websocket.wait()
        assert ">4<" in websocket.wait()


def test_the_streams_of_turbo():
    with WebSocketClient().websocket("/orders/") as websocket:
        for number in (1, 2):
            message = websocket.wait()
            assert message.startswith('<turbo-stream action="append" target="orders">')
            assert f"<li>{number}</li>" in message
