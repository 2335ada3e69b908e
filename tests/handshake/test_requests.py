"""From the environ of a WSGI server to the request that the protocols check."""

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client, RequestFactory

from django_websocket.conf import DEFAULT_PROTOCOLS, import_protocol
from django_websocket.handshake import remedies
from django_websocket.handshake.requests import parse, unwrap
from django_websocket.protocols.base import Compression
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.http import HANDSHAKE_HEADERS, Request

from ..connections import RefusedConnection
from ..observing import records
from ..refusals import FAULTS, HTTP11, NO_BODY, NO_CONNECTION, NO_GET, NO_KEY, NO_VERSION
from ..requests import HANDSHAKE, HIXIE76, KEY3, RESPONSE76, attempt
from ..views import OURS
from ..wire import CLOSE, GOODBYE, SWITCHING, frames, texts


def parsed(path="/", environ=HANDSHAKE, **changes):
    """Return the request that the protocols check."""
    return parse(RequestFactory().get(path, **{**environ, **changes}))


class Wrapper:
    """A request as Django REST framework passes it to its views."""

    def __init__(self, request):
        self._request = request


class TestUnwrap:
    def test_a_request_of_django(self):
        request = RequestFactory().get("/")
        assert unwrap(request) is request

    def test_a_wrapped_one(self):
        request = RequestFactory().get("/")
        assert unwrap(Wrapper(request)) is request

    def test_something_else_by_the_same_name(self):
        request = RequestFactory().get("/")
        request._request = "the project's own"
        assert unwrap(request) is request


class TestParse:
    @pytest.mark.parametrize(
        "environ",
        [
            {},
            {"HTTP_UPGRADE": ""},
            {"HTTP_UPGRADE": "h2c"},
            {"HTTP_CONNECTION": "Upgrade", "HTTP_SEC_WEBSOCKET_VERSION": "13"},
        ],
    )
    def test_a_request_without_upgrade(self, environ):
        """All of them share one empty request: nothing else of them is looked at."""
        request = parsed(environ=environ)
        assert not request.is_upgrade
        assert request.headers == {}
        assert parsed(environ=environ) is request

    def test_header_fields(self):
        """Those that a handshake has; nothing reads the others."""
        request = parsed(CONTENT_LENGTH="8", HTTP_X_ONE="1", HTTP_SEC_WEBSOCKET_DRAFT="2", HTTP_CONTENT_LENGTH="9")
        assert request.is_upgrade
        assert request.headers["sec-websocket-key"] == HANDSHAKE["HTTP_SEC_WEBSOCKET_KEY"]
        assert (request.headers["content-length"], request.headers["sec-websocket-draft"]) == ("8", "2")
        assert request.headers.keys() <= set(HANDSHAKE_HEADERS)

    @pytest.mark.parametrize("path", DEFAULT_PROTOCOLS)
    @pytest.mark.parametrize("old", ["", "-key1"])
    def test_no_version_reads_another_header_field(self, path, old):
        class Recorder(dict):
            def get(self, name, default=None):
                read.add(name)
                return super().get(name, default)

            def __getitem__(self, name):
                read.add(name)
                return super().__getitem__(name)

            def __contains__(self, name):
                read.add(name)
                return super().__contains__(name)

            def keys(self):
                raise AssertionError("all of them are read")

            items = values = keys

        read = set()
        kind = import_protocol(path)
        fields = parsed(environ=HIXIE76 if kind is Hixie76 else HANDSHAKE, HTTP_ORIGIN="http://testserver").headers
        request = Request(Recorder(fields), host="testserver", http_version=(1, 1))
        assert isinstance(kind.matches(request), bool)
        protocol = kind(request, compression=Compression())
        assert protocol.origins == ("http://testserver",)
        protocol.accept()
        assert "origin" in read
        assert read <= set(HANDSHAKE_HEADERS)

    def test_names_of_header_fields_are_shared(self):
        """Each connection keeps its header fields, but not a copy of their names."""
        first, second = ({id(name) for name in parsed().headers if name != "content-length"} for _ in range(2))
        assert first == second

    def test_a_missing_content_length_is_empty(self):
        assert parsed(CONTENT_LENGTH=None).headers["content-length"] == ""

    @pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True)])
    def test_scheme_and_method(self, scheme, secure):
        request = parsed(**{"wsgi.url_scheme": scheme})
        assert (request.method, request.secure) == ("GET", secure)

    @pytest.mark.parametrize(
        ("changes", "scheme"),
        [
            ({"wsgi.url_scheme": "wss"}, "https"),
            ({"wsgi.url_scheme": "ws"}, "http"),
            ({"HTTP_X_FORWARDED_PROTO": "wss"}, "https"),
            ({"HTTP_X_FORWARDED_PROTO": "wss,http"}, "https"),
            ({"HTTP_X_FORWARDED_PROTO": "ws", "wsgi.url_scheme": "https"}, "http"),
            ({"HTTP_X_FORWARDED_PROTO": "http,wss"}, "http"),
            # The project does not trust this header.
            ({"HTTP_X_FORWARDED_SCHEME": "wss"}, "http"),
        ],
    )
    def test_the_scheme_of_a_websocket(self, settings, changes, scheme):
        """Behind the middleware, ``SecurityMiddleware`` for one, it is the scheme of HTTP."""
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        request = RequestFactory().get("/", **{**HANDSHAKE, **changes})
        assert parse(request).secure == (scheme == "https")
        assert (request.scheme, request.is_secure()) == (scheme, scheme == "https")

    def test_the_scheme_of_plain_http_is_left_alone(self, settings):
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        request = RequestFactory().get("/", HTTP_X_FORWARDED_PROTO="wss")
        parse(request)
        assert request.META["HTTP_X_FORWARDED_PROTO"] == "wss"
        assert not request.is_secure()

    def test_a_project_may_take_wss_for_the_secure_scheme(self, settings):
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "wss")
        assert parsed(HTTP_X_FORWARDED_PROTO="wss").secure
        assert not parsed(HTTP_X_FORWARDED_PROTO="https").secure

    @pytest.mark.parametrize(("host", "expected"), [("TestServer:80", "TestServer:80"), ("evil.example", None)])
    def test_host(self, host, expected):
        assert parsed(HTTP_HOST=host).host == expected

    def test_hosts_are_checked_again_when_a_setting_has_changed(self, settings):
        environ = {**HANDSHAKE, "HTTP_HOST": "one.example", "HTTP_X_FORWARDED_HOST": "two.example"}
        settings.ALLOWED_HOSTS = ["one.example"]
        assert parsed(environ=environ).host == "one.example"
        settings.ALLOWED_HOSTS.append("two.example")
        assert parsed(environ=environ).host == "one.example"
        settings.USE_X_FORWARDED_HOST = True
        assert parsed(environ=environ).host == "two.example"
        assert parsed(environ=environ, HTTP_X_FORWARDED_HOST="one.example").host == "one.example"
        settings.ALLOWED_HOSTS.remove("two.example")
        assert parsed(environ=environ).host is None
        settings.ALLOWED_HOSTS = []
        localhost = {"HTTP_HOST": "localhost", "HTTP_X_FORWARDED_HOST": None}
        assert parsed(environ=environ, **localhost).host is None
        settings.DEBUG = True
        assert parsed(environ=environ, **localhost).host == "localhost"

    def test_a_request_that_knows_its_host_better(self):
        class Tenant(WSGIRequest):
            def get_host(self):
                return f"{self.META['HTTP_X_TENANT']}.example"

        for tenant in ("one", "two"):
            request = Tenant(RequestFactory().get("/", **HANDSHAKE, HTTP_X_TENANT=tenant).environ)
            assert parse(request).host == f"{tenant}.example"

    @pytest.mark.parametrize(
        ("changes", "version"),
        [
            ({"SERVER_PROTOCOL": "HTTP/1.0"}, (1, 0)),
            ({"SERVER_PROTOCOL": "HTTP/1.1"}, (1, 1)),
            ({"SERVER_PROTOCOL": "HTTP/2"}, (2, 0)),
            ({"SERVER_PROTOCOL": "INCLUDED"}, None),
            ({"SERVER_PROTOCOL": "HTTP/1.0", "eventlet.input": None}, None),
        ],
    )
    def test_http_version(self, changes, version):
        assert parsed(**changes).http_version == version


@pytest.mark.usefixtures("client")
class TestMalformed:
    """Requests that are refused before their view is known."""

    @pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS", "CONNECT"])
    def test_method(self, method):
        response = attempt("/unreachable/", method=method)
        assert response.status_code == 400
        assert response.content == (b"" if method == "HEAD" else NO_GET.encode() + b"\n")

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"HTTP_CONNECTION": None}, NO_CONNECTION),
            ({"HTTP_CONNECTION": "notupgrade, keep-alive"}, NO_CONNECTION),
            ({"HTTP_SEC_WEBSOCKET_KEY": None}, NO_KEY),
            ({"HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZQ=="}, NO_KEY),
            ({"HTTP_SEC_WEBSOCKET_VERSION": None}, NO_VERSION),
            ({"HTTP_SEC_WEBSOCKET_VERSION": "14"}, NO_VERSION),
            ({"HTTP_SEC_WEBSOCKET_VERSION": "13,13"}, NO_VERSION),
            ({"CONTENT_LENGTH": "5"}, NO_BODY),
            ({"CONTENT_LENGTH": "8"}, NO_BODY),
            ({"CONTENT_LENGTH": "-1"}, NO_BODY),
            ({"HTTP_TRANSFER_ENCODING": "chunked"}, NO_BODY),
            ({"HTTP_TRANSFER_ENCODING": "identity", "CONTENT_LENGTH": "0"}, NO_BODY),
            ({"SERVER_PROTOCOL": "HTTP/1.0"}, HTTP11),
            ({"SERVER_PROTOCOL": "HTTP/0.9"}, HTTP11),
            ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "chat,chat"}, "the Sec-WebSocket-Protocol header is malformed"),
            ({"HTTP_SEC_WEBSOCKET_EXTENSIONS": 'a; b="\\'}, "the Sec-WebSocket-Extensions header is malformed"),
        ],
    )
    def test_rfc6455(self, changes, text):
        response = attempt("/unreachable/", **changes)
        assert (response.status_code, response.content) == (400, f"{text}\n".encode())

    @pytest.mark.parametrize("content_length", ["", "0", None])
    def test_an_empty_body_is_none(self, content_length):
        assert attempt("/status/204/", CONTENT_LENGTH=content_length).status_code == 204

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"HTTP_SEC_WEBSOCKET_KEY1": None}, "the Sec-WebSocket-Key1 is missing or malformed"),
            ({"HTTP_SEC_WEBSOCKET_KEY2": "no spaces, no digits"}, "the Sec-WebSocket-Key2 is missing or malformed"),
            ({"HTTP_ORIGIN": None}, "the Origin header is missing or malformed"),
            ({"HTTP_ORIGIN": "http://testserver\r\n X-Injected: 1"}, "the Origin header is missing or malformed"),
            ({"HTTP_HOST": None}, "the Host header is missing"),
            ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "a\nb"}, "the Sec-WebSocket-Protocol header is missing or malformed"),
            ({"CONTENT_LENGTH": "7"}, NO_BODY),
            ({"HTTP_TRANSFER_ENCODING": "chunked"}, NO_BODY),
            ({"SERVER_PROTOCOL": "HTTP/1.0"}, HTTP11),
        ],
    )
    def test_hixie76(self, changes, text):
        response = attempt("/unreachable/", HIXIE76, **changes)
        assert (response.status_code, response.content) == (400, f"{text}\n".encode())

    def test_hixie75(self):
        environ = {"HTTP_HOST": "testserver", "HTTP_UPGRADE": "WebSocket", "HTTP_CONNECTION": "Upgrade"}
        assert attempt("/status/204/", environ, HTTP_ORIGIN="http://testserver").status_code == 204
        response = attempt("/unreachable/", environ)
        assert response.content == b"the Origin header is missing or malformed\n"

    @pytest.mark.parametrize("length", ["8", "", "0"])
    def test_the_eight_bytes_of_hixie76_may_be_announced(self, wire, length):
        data = wire("/echo/", KEY3 + b"\x00hello\xff", b"\xff\x00", HIXIE76, CONTENT_LENGTH=length)
        assert data.endswith(RESPONSE76 + b"\x00hello\xff\xff\x00")


class TestHosts:
    BAD = {
        None: "missing",
        "": "missing",
        "evil.example": "not allowed",
        "testserver,testserver": "malformed",
        "testserver:port": "malformed",
        "test server": "malformed",
        "testserver\x00": "malformed",
    }

    @pytest.mark.parametrize("environ", [HANDSHAKE, HIXIE76])
    @pytest.mark.parametrize("host", BAD)
    @pytest.mark.parametrize("middleware", [[OURS], []])
    def test_a_host_that_is_refused(self, settings, caplog, environ, host, middleware):
        """The log says which host it is, and what is wrong with it."""
        settings.MIDDLEWARE = middleware
        response = attempt("/unreachable/", environ, HTTP_HOST=host)
        text = f"the Host header is {self.BAD[host]}"
        assert (response.status_code, response.content.decode()) == (400, f"{text}\n")
        (record,) = records(caplog)
        rest = {"missing": f"; {remedies.MISSING_HOST}", "malformed": f" (it says {ascii(host)[1:-1]})"}
        rest["not allowed"] = f" (it says {host}); {remedies.REPLACED_HOST}; {remedies.UNKNOWN_HOST}"
        assert record.getMessage() == f"WebSocket refused with 400 at /unreachable/: {text}{rest[self.BAD[host]]}"

    @pytest.mark.parametrize("middleware", [[OURS], []])
    def test_a_forwarded_host_that_is_refused(self, settings, caplog, middleware):
        settings.MIDDLEWARE = middleware
        settings.USE_X_FORWARDED_HOST = True
        for host, text in (("evil.example", "not allowed"), ("a b", "malformed"), ("", "malformed")):
            response = attempt("/unreachable/", HTTP_X_FORWARDED_HOST=host)
            assert response.content.decode() == f"the X-Forwarded-Host header is {text}\n"
            assert f"(it says {host})" in records(caplog)[-1].getMessage()
            # Another header than the one that a proxy may have replaced.
            assert remedies.REPLACED_HOST not in records(caplog)[-1].getMessage()
        response = attempt("/unreachable/", HTTP_HOST=None, HTTP_X_FORWARDED_HOST="testserver")
        assert response.content == b"the Host header is missing\n"

    @pytest.mark.parametrize("host", [host for host in BAD if host is not None])
    def test_another_middleware_asks_for_the_host_first(self, host):
        connection = RefusedConnection()
        assert attempt("/unreachable/", HTTP_HOST=host, connection=connection).status_code == 400
        assert connection.refused == 1

    def test_no_debug_page_is_sent(self, settings):
        """Django's debug page would repeat the host, and show the settings."""
        settings.DEBUG = True
        response = attempt("/unreachable/", HTTP_HOST="evil.example")
        text = f"{FAULTS['host'].text}; {remedies.REPLACED_HOST}; {remedies.UNKNOWN_HOST}\n"
        assert (response.status_code, response.content.decode()) == (400, text)

    @pytest.mark.parametrize("host", ["TestServer", "testserver.", "testserver:8000", "localhost", "[::1]:8000"])
    def test_a_host_that_is_allowed(self, client, host):
        assert attempt("/status/204/", HTTP_HOST=host).status_code == 204

    @pytest.mark.usefixtures("client")
    def test_the_name_of_the_server_is_no_host(self):
        """Django would use it if the header is missing; every client sends the header in a handshake."""
        assert Client().get("/echo/").status_code == 200
        assert attempt("/unreachable/", HTTP_HOST=None, SERVER_NAME="testserver").status_code == 400


class TestHTTPVersion:
    @pytest.mark.parametrize("environ", [HANDSHAKE, HIXIE76])
    @pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2", "HTTP/2.0", "INCLUDED", ""])
    def test_http_versions(self, client, wire, environ, protocol):
        assert wire("/echo/", KEY3, GOODBYE, environ, SERVER_PROTOCOL=protocol).startswith(b"HTTP/1.1 101 ")

    def test_eventlet_hides_the_http_version(self, client, wire):
        """Its environ has HTTP/1.0 for every request."""
        data = wire("/echo/", frames("hello"), GOODBYE, SERVER_PROTOCOL="HTTP/1.0", **{"eventlet.input": None})
        assert data == SWITCHING + texts(b"hello") + CLOSE[1000]


class TestLocation:
    """In the old drafts the server repeats the address that the client used, and the client compares it."""

    @pytest.fixture(autouse=True)
    def _any_origin(self, settings):
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["*"]

    @pytest.mark.parametrize(
        ("address", "changes", "location"),
        [
            ("/echo/", {}, "ws://testserver/echo/"),
            ("/echo/?a=1&b=%20c&a", {}, "ws://testserver/echo/?a=1&b=%20c&a"),
            ("/listen/caf%C3%A9/a%20b", {}, "ws://testserver/listen/caf%C3%A9/a%20b"),
            ("/echo/", {"HTTP_HOST": "TestServer:8000"}, "ws://testserver:8000/echo/"),
            ("/echo/", {"HTTP_HOST": "testserver:80"}, "ws://testserver/echo/"),
            ("/echo/", {"HTTP_HOST": "[::1]:8000"}, "ws://[::1]:8000/echo/"),
            ("/echo/", {"wsgi.url_scheme": "https"}, "wss://testserver/echo/"),
            ("/echo/", {"wsgi.url_scheme": "https", "HTTP_HOST": "testserver:443"}, "wss://testserver/echo/"),
            ("/echo/", {"wsgi.url_scheme": "https", "HTTP_HOST": "testserver:80"}, "wss://testserver:80/echo/"),
            ("/echo/", {"HTTP_X_FORWARDED_PROTO": "https"}, "ws://testserver/echo/"),
            ("/echo/", {"HTTP_X_FORWARDED_HOST": "localhost"}, "ws://testserver/echo/"),
            # Some servers keep the target as the client wrote it.
            ("/echo/", {"REQUEST_URI": "/%65cho/?%7e"}, "ws://testserver/%65cho/?%7e"),
            ("/echo/", {"RAW_URI": "/%65cho/?%7e"}, "ws://testserver/%65cho/?%7e"),
            ("/echo/", {"RAW_PATH_INFO": "/%65cho/"}, "ws://testserver/%65cho/"),
            ("/echo/?%7e", {"RAW_PATH_INFO": "/%65cho/"}, "ws://testserver/%65cho/?%7e"),
            ("/echo/", {"RAW_URI": "http://testserver/echo/"}, "ws://testserver/echo/"),
            ("/echo/", {"RAW_URI": "*", "REQUEST_URI": "/other/"}, "ws://testserver/echo/"),
        ],
    )
    def test_location(self, client, wire, address, changes, location):
        data = wire(address, KEY3, b"", HIXIE76, **changes)
        assert f"\r\nSec-WebSocket-Location: {location}\r\n".encode() in data
        assert data.endswith(RESPONSE76)

    def test_forwarded(self, client, wire, settings):
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        settings.USE_X_FORWARDED_HOST = True
        data = wire("/echo/", KEY3, b"", HIXIE76, HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_HOST="localhost")
        assert b"\r\nSec-WebSocket-Location: wss://localhost/echo/\r\n" in data

    @pytest.mark.parametrize(("proto", "scheme"), [("https", "wss"), ("wss", "wss"), ("ws", "ws"), ("http", "ws")])
    def test_forwarded_scheme(self, client, wire, settings, proto, scheme):
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        data = wire("/echo/", KEY3, b"", HIXIE76, HTTP_X_FORWARDED_PROTO=proto)
        assert f"\r\nSec-WebSocket-Location: {scheme}://testserver/echo/\r\n".encode() in data

    @pytest.mark.parametrize("origin", ["app", "127.0.0.1:8000", "http://a/b?c"])
    def test_an_origin_is_reflected_as_it_came(self, client, wire, origin):
        data = wire("/echo/", KEY3, b"", HIXIE76, HTTP_ORIGIN=origin)
        assert f"\r\nSec-WebSocket-Origin: {origin}\r\n".encode() in data
        assert data.endswith(RESPONSE76)

    @pytest.mark.parametrize("target", ["/echo/\r\nX-Injected: 1", "/echo/ HTTP", "/echo/\x00", "/\xe9cho/"])
    def test_a_malformed_target(self, client, target):
        response = attempt("/unreachable/", HIXIE76, RAW_URI=target)
        assert (response.status_code, response.content) == (400, b"the request target is missing or malformed\n")
