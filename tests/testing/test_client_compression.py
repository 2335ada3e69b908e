"""Compression, which a client offers and a view accepts."""

import pytest

from ..views import VERSIONS
from . import views
from .views import echo

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*views.urlpatterns]
route = views.make_route(urlpatterns)


@route("compressing/", compression={"threshold": 10})
def compressing(request):
    """Echo, with the compression that the message asks for."""
    websocket = request.websocket
    for message in websocket:
        if message.startswith("as it is"):
            websocket.send(message, compress=False)
        elif message.startswith("json"):
            websocket.send_json([message])
            websocket.send_json([message], compress=False)
        else:
            websocket.send(message)


@route("never-compressing/", compression=False)
def never_compressing(request):
    echo(request)


def frames_of(websocket):
    """Return a list, to which the first byte of each frame of the view is added."""
    firsts = []
    receive = websocket._protocol.receive

    def note(data):
        if data:
            firsts.append(data[0])
        return receive(data)

    websocket._protocol.receive = note
    return firsts


class TestCompression:
    LONG = "long " * 1000

    def extensions(self, client, address="/echo/", **options):
        with client.websocket(address, **options) as websocket:
            for message in ("short", self.LONG):
                websocket.send(message)
                assert websocket.wait() == message
            return websocket.headers.get("sec-websocket-extensions")

    def test_both_sides_have_to_want_it(self, client, settings):
        assert self.extensions(client) is None
        assert self.extensions(client, compression=True) is None
        settings.WEBSOCKET_COMPRESSION = True
        assert self.extensions(client) is None
        assert self.extensions(client, compression=True) == (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=12; client_max_window_bits=12"
        )
        wide = {"window_bits": 15, "context_takeover": True}
        settings.WEBSOCKET_COMPRESSION = wide
        assert self.extensions(client, compression=wide) == "permessage-deflate"

    def test_the_view_decides(self, client, settings):
        assert self.extensions(client, "/compressing/", compression=True) is not None
        settings.WEBSOCKET_COMPRESSION = True
        assert self.extensions(client, "/never-compressing/", compression=True) is None

    @pytest.mark.parametrize("version", [13, 8, 7])
    def test_frames(self, client, version):
        with client.websocket("/compressing/", version=version, compression=True) as websocket:
            firsts = frames_of(websocket)
            for message in ("short", self.LONG, "as it is" * 1000):
                websocket.send(message)
                assert websocket.wait() == message
            websocket.send("json" * 1000)
            assert websocket.wait_json() == websocket.wait_json() == ["json" * 1000]
            assert firsts == [0x81, 0xC1, 0x81, 0xC1, 0x81]

    @pytest.mark.parametrize("compression", [True, False])
    @pytest.mark.parametrize("version", VERSIONS)
    def test_every_version_takes_the_option(self, client, version, compression):
        with client.websocket("/compressing/", version=version, compression=compression) as websocket:
            for message in ("as it is", "as it is" * 1000, self.LONG):
                websocket.send(message)
                assert websocket.wait() == message
            websocket.send("json")
            assert websocket.wait_json() == websocket.wait_json() == ["json"]

    def test_a_decompression_bomb(self, client, settings):
        settings.WEBSOCKET_COMPRESSION = True
        with client.websocket("/echo/", compression=True) as websocket:
            websocket.send("\0" * 1048577)
            assert websocket.wait() is None
        assert websocket.close_code == 1009

    def test_an_invalid_offer(self, client):
        with pytest.raises(ValueError, match="'window_bits' is at least 9"):
            client.websocket("/echo/", compression={"window_bits": 8})
