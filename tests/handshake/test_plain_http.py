"""Plain HTTP requests, and those among them that were handshakes until a proxy dropped their ``Upgrade``."""

import logging
import math

import pytest

from django_websocket.handshake import plain_http
from django_websocket.handshake.plain_http import REPORT_INTERVAL, Reporter
from django_websocket.handshake.remedies import LOST_UPGRADE

from ..connections import RefusedConnection
from ..observing import records
from ..requests import HANDSHAKE, HIXIE76, attempt

#: What nginx makes of a handshake if it is not told to pass the upgrade on.
LOST = {**HANDSHAKE, "HTTP_UPGRADE": None, "HTTP_CONNECTION": "close"}
LOST76 = {**HIXIE76, "HTTP_UPGRADE": None, "HTTP_CONNECTION": None}

WEBSOCKETS_ONLY = b"this address takes WebSockets only\n"


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Begin without any earlier report, and let the test set the time."""
    clock = [1000.0]
    monkeypatch.setattr(plain_http, "_reporter", Reporter())
    monkeypatch.setattr(plain_http.time, "monotonic", lambda: clock[0])
    return clock


def test_it_names_the_two_lines_of_nginx():
    for line in ("proxy_set_header Upgrade $http_upgrade;", 'proxy_set_header Connection "upgrade";'):
        assert line in LOST_UPGRADE


@pytest.mark.usefixtures("client")
class TestWebSocketsOnly:
    @pytest.mark.parametrize("environ", [LOST, LOST76])
    def test_the_answer_and_the_log_say_what_has_happened(self, caplog, environ):
        connection = RefusedConnection()
        response = attempt("/unreachable/", environ, connection=connection)
        text = f"this address takes WebSockets only; {LOST_UPGRADE}"
        assert (response.status_code, response.content.decode()) == (400, f"{text}\n")
        (record,) = records(caplog)
        assert record.getMessage() == f"WebSocket refused with 400 at /unreachable/: {text}"
        assert connection.refused == 0, "the proxy may go on"

    @pytest.mark.parametrize("header", ["KEY", "KEY1", "KEY2", "VERSION"])
    def test_one_header_of_the_handshake_is_evidence(self, header):
        response = attempt("/unreachable/", {f"HTTP_SEC_WEBSOCKET_{header}": "x"})
        assert LOST_UPGRADE in response.content.decode()

    @pytest.mark.parametrize(
        "environ",
        [
            {},
            {"HTTP_UPGRADE": "h2c", "HTTP_CONNECTION": "Upgrade"},
            {"HTTP_ORIGIN": "http://testserver"},
            {"HTTP_SEC_WEBSOCKET_PROTOCOL": "chat"},
        ],
    )
    def test_a_request_that_was_none(self, environ):
        assert attempt("/unreachable/", environ).content == WEBSOCKETS_ONLY

    @pytest.mark.parametrize("method", ["CONNECT", "POST"])
    def test_a_handshake_of_http2_has_no_upgrade(self, method):
        assert attempt("/unreachable/", LOST, method=method).content == WEBSOCKETS_ONLY


class TestBoth:
    """A view that takes both answers with its page, so that only the log can tell of the lost ``Upgrade``."""

    @pytest.mark.usefixtures("client")
    @pytest.mark.parametrize("environ", [LOST, LOST76])
    def test_the_log_says_what_has_happened(self, caplog, environ):
        response = attempt("/echo/", environ)
        assert (response.status_code, response.content) == (200, b"HTTP")
        (record,) = records(caplog)
        assert record.levelno == logging.WARNING
        assert record.getMessage() == f"A WebSocket handshake was answered like plain HTTP at /echo/: {LOST_UPGRADE}"

    @pytest.mark.usefixtures("client")
    def test_plain_http_is_not_logged(self, caplog):
        assert attempt("/echo/", {}).content == b"HTTP"
        assert records(caplog) == []

    @pytest.mark.usefixtures("client")
    def test_once_a_minute(self, caplog, clock):
        for seconds, number in ((0, 1), (0, 1), (REPORT_INTERVAL - 1, 1), (1, 2), (5, 2), (REPORT_INTERVAL, 3)):
            clock[0] += seconds
            attempt("/echo/", LOST)
            assert len(records(caplog)) == number

    def test_a_view_that_is_not_marked(self, caplog):
        """The client waits for a WebSocket there as well, or the decorator is inside the view."""
        assert attempt("/plain/", LOST).content == b"plain"
        (record,) = records(caplog)
        assert record.getMessage().endswith(f"at /plain/: {LOST_UPGRADE}")

    def test_the_path_is_escaped(self, client, caplog):
        attempt("/listen/%0Aforged/", LOST)
        (record,) = records(caplog)
        assert r"at /listen/\nforged/: " in record.getMessage()

    def test_the_first_report_is_always_due(self):
        assert Reporter()._due == -math.inf
