"""The handshakes of clients of 2010 to 2015, byte by byte, through the whole of Django."""

import pytest

from ..observing import records
from ..requests import HIXIE76, KEY3, OLD_ANSWERS, OLD_CLIENTS, attempt
from ..wire import CLOSE, GOODBYE, frames, texts

HOST = "localhost:8000"
PLACES = {"host": HOST, "origin": f"http://{HOST}", "url": f"ws://{HOST}/echo/"}
#: What a client sends behind its handshake: a message and a Close; and what it gets.
TALK = frames("hello"), GOODBYE, texts(b"hello") + CLOSE[1000]
TALK76 = KEY3 + b"\x00hello\xff", b"\xff\x00", b"\x00hello\xff\xff\x00"


def environ(head):
    """Return the header fields of a request as a WSGI server would put them into its environ."""
    lines = head.removesuffix("\r\n\r\n").split("\r\n")[1:]
    return {
        f"HTTP_{name.upper().replace('-', '_')}": value for name, _, value in (line.partition(": ") for line in lines)
    }


@pytest.mark.usefixtures("client")
class TestOldClients:
    @pytest.mark.parametrize("name", OLD_CLIENTS)
    def test_is_let_in(self, wire, name):
        """The Origin is the Host without a scheme, the key may be short, and there may be two origins."""
        message, goodbye, received = TALK76 if name.endswith("76") else TALK
        data = wire("/echo/", message, goodbye, environ(OLD_CLIENTS[name] % PLACES))
        assert data == (OLD_ANSWERS[name] % PLACES).encode() + received

    @pytest.mark.parametrize("origin", ["http://localhost", "https://evil.example", "evil.example"])
    def test_two_origins_of_which_one_is_not_allowed(self, caplog, origin):
        """The older of the two header fields comes without the port of an address like ``ws://localhost:8000``."""
        head = environ(OLD_CLIENTS["node-8-origin"] % {**PLACES, "origin": origin})
        assert attempt("/unreachable/", head).status_code == 403
        (record,) = records(caplog)
        assert origin in record.getMessage()

    def test_two_origins_where_every_origin_is_allowed(self, settings, wire):
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["*"]
        head = environ(OLD_CLIENTS["node-8-origin"] % {**PLACES, "origin": "http://localhost"})
        message, goodbye, received = TALK
        assert wire("/echo/", message, goodbye, head).endswith(received)

    @pytest.mark.parametrize("name", OLD_CLIENTS)
    def test_of_another_site(self, name):
        head = environ(OLD_CLIENTS[name] % PLACES)
        assert attempt("/unreachable/", {**head, "HTTP_ORIGIN": "evil.example:8000"}).status_code == 403

    def test_a_browser_of_that_time_on_another_site(self):
        """A page cannot leave the scheme out, whatever its address is."""
        assert attempt("/unreachable/", HIXIE76, HTTP_ORIGIN="http://localhost:8000").status_code == 403

    def test_the_key_of_version_13_stays_strict(self):
        head = environ(OLD_CLIENTS["node-8"] % PLACES)
        assert attempt("/unreachable/", {**head, "HTTP_SEC_WEBSOCKET_VERSION": "13"}).status_code == 400
