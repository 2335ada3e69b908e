"""The absolute URIs of WebSockets."""

import copy
import gc
import pickle
import weakref

import pytest
from django.core.exceptions import DisallowedHost
from django.test import RequestFactory
from django.urls import path, reverse_lazy

from django_websocket.handshake.requests import parse
from django_websocket.handshake.uris import URIBuilder, build_websocket_uri

from ..requests import HANDSHAKE

urlpatterns = [path("look/", lambda request: None, name="look")]


def make(path="/page/", **environ):
    return RequestFactory().get(path, **environ)


class TestBuildWebSocketURI:
    @pytest.mark.parametrize(
        ("location", "uri"),
        [
            (None, "ws://testserver/page/?q=1"),
            ("/room/7/", "ws://testserver/room/7/"),
            ("room/", "ws://testserver/page/room/"),
            ("../room/", "ws://testserver/room/"),
            ("?since=3", "ws://testserver/page/?since=3"),
            ("", "ws://testserver/page/"),
            ("/ä b/?ö", "ws://testserver/%C3%A4%20b/?%C3%B6"),
            ("//elsewhere/room/", "ws://elsewhere/room/"),
            ("http://elsewhere:81/", "ws://elsewhere:81/"),
            ("https://elsewhere/", "wss://elsewhere/"),
            ("HTTPS://elsewhere/", "wss://elsewhere/"),
            ("ws://elsewhere/", "ws://elsewhere/"),
            ("wss://elsewhere/?next=http://testserver/", "wss://elsewhere/?next=http://testserver/"),
            (reverse_lazy("look"), "ws://testserver/look/"),
        ],
    )
    @pytest.mark.urls(__name__)
    def test_locations(self, location, uri):
        assert build_websocket_uri(make("/page/?q=1"), location) == uri

    @pytest.mark.parametrize(
        ("host", "uri"),
        [
            ("localhost", "ws://localhost/room/"),
            ("localhost:8000", "ws://localhost:8000/room/"),
            ("127.0.0.1:8000", "ws://127.0.0.1:8000/room/"),
            ("[::1]", "ws://[::1]/room/"),
            ("[::1]:8000", "ws://[::1]:8000/room/"),
        ],
    )
    def test_hosts(self, host, uri):
        assert build_websocket_uri(make(HTTP_HOST=host), "/room/") == uri
        assert build_websocket_uri(make(HTTP_HOST=host, **{"wsgi.url_scheme": "https"}), "/room/") == f"wss{uri[2:]}"

    def test_a_host_that_is_not_allowed(self):
        with pytest.raises(DisallowedHost):
            build_websocket_uri(make(HTTP_HOST="elsewhere"), "/room/")

    def test_a_prefix(self):
        request = make("/page/", SCRIPT_NAME="/app")
        assert build_websocket_uri(request) == "ws://testserver/app/page/"
        assert build_websocket_uri(request, "room/") == "ws://testserver/app/page/room/"

    def test_behind_a_proxy(self, settings):
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        settings.USE_X_FORWARDED_HOST = True
        settings.ALLOWED_HOSTS = ["chat.example.com"]
        request = make(HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_HOST="chat.example.com", HTTP_HOST="app:8000")
        assert build_websocket_uri(request, "/room/") == "wss://chat.example.com/room/"
        assert build_websocket_uri(make(HTTP_HOST="chat.example.com"), "/room/") == "ws://chat.example.com/room/"

    @pytest.mark.parametrize(("announced", "scheme"), [("wss", "wss"), ("https", "wss"), ("ws", "ws"), ("http", "ws")])
    def test_a_handshake_behind_a_proxy_that_announces_the_scheme_of_websockets(self, settings, announced, scheme):
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        request = make(**HANDSHAKE, HTTP_X_FORWARDED_PROTO=announced)
        parse(request)
        assert build_websocket_uri(request) == f"{scheme}://testserver/page/"

    @pytest.mark.parametrize("location", ["ftp://testserver/", "mailto:somebody", "javascript:alert(1)", "file:///etc"])
    def test_other_schemes(self, location):
        with pytest.raises(ValueError, match="its scheme has to be ws, wss, http or https"):
            build_websocket_uri(make(), location)

    @pytest.mark.parametrize("location", ["/room/#top", "#top", "wss://elsewhere/#a", "?tag=#1"])
    def test_fragments(self, location):
        """A browser refuses such an address with a SyntaxError."""
        with pytest.raises(ValueError, match="it has a fragment; write %23"):
            build_websocket_uri(make(), location)

    def test_a_query_from_which_the_server_has_not_cut_a_fragment(self):
        assert build_websocket_uri(make(QUERY_STRING="a#b")) == "ws://testserver/page/?a%23b"


class TestURIBuilder:
    def test_it_builds_the_uri_of_its_request(self):
        request = make()
        build = URIBuilder(request)
        assert build() == "ws://testserver/page/"
        assert build("/room/") == build(location="/room/") == "ws://testserver/room/"

    def test_no_cycle(self):
        """The request goes with its last reference, and is not left to the garbage collector."""
        request = make()
        request.build_websocket_uri = URIBuilder(request)
        gone = weakref.ref(request)
        build = request.build_websocket_uri
        gc.disable()
        try:
            del request
            assert gone() is None
        finally:
            gc.enable()
        with pytest.raises(ReferenceError, match=r"whose build_websocket_uri\(\) was called does not exist any more"):
            build("/room/")

    @pytest.mark.parametrize("clone", [copy.deepcopy, lambda request: pickle.loads(pickle.dumps(request))])
    def test_copies(self, clone):
        """Requests are copied, and kept in caches."""
        request = make()
        request.build_websocket_uri = URIBuilder(request)
        copied = clone(request)
        copied.META["HTTP_HOST"] = "localhost"
        del request
        assert copied.build_websocket_uri() == "ws://localhost/page/"

    def test_a_shallow_copy_shares_that_of_its_original(self):
        request = make()
        request.build_websocket_uri = URIBuilder(request)
        assert copy.copy(request).build_websocket_uri() == "ws://testserver/page/"
