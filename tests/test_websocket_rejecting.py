"""Handshakes that a view accepts only to say with a close code why it refuses."""

import logging

import pytest

from django_websocket import require_websocket
from django_websocket.exceptions import ConnectionClosed
from django_websocket.process.registry import registry

from .connection.conftest import clean_registry, followed  # noqa: F401 - they are for every test
from .connection.line import connect
from .observing import records
from .views import OLD, VERSIONS, make_route_by_name

pytestmark = pytest.mark.urls(__name__)

urlpatterns = []
route = make_route_by_name(urlpatterns)


@route
@require_websocket(subprotocols=["chat"])
def rejecting(request):
    request.websocket.reject(4404, "no such room")
    assert request.websocket.closed
    assert request.websocket.wait() is None


@route
@require_websocket
def too_late(request):
    request.websocket.send("hello")
    request.websocket.reject(4404)


@route
@require_websocket
def wordless(request):
    request.websocket.reject(4404)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_page_sees_the_code(client, settings, version, caplog):
    settings.WEBSOCKET_MAX_CONNECTIONS = 1
    for _ in range(2):
        caplog.clear()
        with client.websocket("/rejecting/", version=version, subprotocols=["chat"]) as websocket:
            assert websocket.accepted
            assert websocket.subprotocol == "chat"
            assert list(websocket) == []
        old = version in OLD
        assert (websocket.close_code, websocket.close_reason) == ((1005, "") if old else (4404, "no such room"))
        assert websocket.response.status_code == 101
        (record,) = records(caplog)
        assert record.getMessage() == "WebSocket refused with 4404 at /rejecting/: no such room"
        assert (record.levelno, record.close_code) == (logging.WARNING, 4404)
    assert not registry.busy


def test_no_reason(client, caplog):
    with client.websocket("/wordless/") as websocket:
        pass
    assert (websocket.close_code, websocket.close_reason) == (4404, "")
    (record,) = records(caplog)
    assert record.getMessage() == "WebSocket refused with 4404 at /wordless/"


def test_it_is_too_late_after_the_handshake(client):
    with client.websocket("/too_late/") as websocket:
        assert websocket.wait() == "hello"
        with pytest.raises(RuntimeError, match=r"has been sent already, .* close\(\) ends the WebSocket"):
            websocket.wait()
    assert websocket.close_code == 1011


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((1005,), ValueError),
        ((999,), ValueError),
        (("4401",), TypeError),
        ((4401, b"x"), TypeError),
        ((4401, "x" * 124), ValueError),
    ],
)
def test_arguments_are_checked_before_anything_is_sent(arguments, error):
    ws, _ = connect(accept=False)
    with pytest.raises(error):
        ws.reject(*arguments)
    assert not ws.handshake_sent
    ws.reject(4401, "x" * 123)
    assert ws.handshake_sent


def test_line_ends_in_a_reason_do_not_reach_the_log(caplog):
    ws, _ = connect(accept=False)
    ws.reject(4400, "one\ntwo")
    (record,) = records(caplog)
    assert record.getMessage() == "WebSocket refused with 4400 at /echo/: one\\ntwo"


def test_a_websocket_that_has_ended():
    ws, _ = connect(accept=False)
    ws.end()
    with pytest.raises(ConnectionClosed):
        ws.reject(4401)
