"""The ``Origin`` of whole requests, with the settings of the project and the headers of a proxy."""

import pytest

from django_websocket.handshake import remedies

from ..observing import records
from ..requests import attempt


class TestOrigins:
    @pytest.mark.parametrize(
        ("origin", "changes"),
        [
            (None, {}),
            ("http://testserver", {}),
            ("HTTP://TESTSERVER:80", {}),
            ("http://testserver:8000", {"HTTP_HOST": "testserver:8000"}),
            ("https://testserver", {"wsgi.url_scheme": "https"}),
        ],
    )
    def test_an_origin_that_is_allowed(self, client, origin, changes):
        assert attempt("/status/204/", HTTP_ORIGIN=origin, **changes).status_code == 204

    @pytest.mark.parametrize(
        ("origin", "text"),
        [
            ("https://testserver", "the Origin is not allowed"),
            ("http://testserver:8000", "the Origin is not allowed"),
            ("null", "the Origin is not allowed"),
            ("http://testserver.evil.example", "the Origin is not allowed"),
            ("http://testserver@evil.example", "the Origin header is malformed"),
            ("http://testserver/", "the Origin header is malformed"),
            ("http://testserver,http://testserver", "the Origin header is malformed"),
            ("", "the Origin header is malformed"),
        ],
    )
    def test_an_origin_that_is_refused(self, client, origin, text):
        response = attempt("/unreachable/", HTTP_ORIGIN=origin)
        assert (response.status_code, response.content.decode()) == (403, f"{text}\n")

    def test_a_missing_origin(self, client, settings):
        assert attempt("/strict/").content == b"the Origin header is missing\n"
        settings.WEBSOCKET_REQUIRE_ORIGIN = True
        assert attempt("/unreachable/").status_code == 403

    def test_origins_of_the_settings(self, client, settings):
        settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.com"]
        assert attempt("/status/204/", HTTP_ORIGIN="https://www.example.com").status_code == 204
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["https://example.org"]
        assert attempt("/unreachable/", HTTP_ORIGIN="https://www.example.com").status_code == 403
        assert attempt("/unreachable/", HTTP_ORIGIN="http://testserver").status_code == 403
        assert attempt("/status/204/", HTTP_ORIGIN="https://example.org").status_code == 204

    @pytest.mark.parametrize("version", ["8", "7"])
    def test_the_origin_of_the_drafts(self, client, version):
        """Versions 7 and 8 have the origin in another header field; if both are there, each has to be allowed."""
        good, evil = "http://testserver", "https://evil.example"
        version = {"HTTP_SEC_WEBSOCKET_VERSION": version}
        assert attempt("/unreachable/", **version, HTTP_SEC_WEBSOCKET_ORIGIN=evil).status_code == 403
        for origin, other in ((good, evil), (evil, good), (good, "")):
            headers = {"HTTP_SEC_WEBSOCKET_ORIGIN": origin, "HTTP_ORIGIN": other}
            assert attempt("/unreachable/", **version, **headers).status_code == 403
        for other in (good, "testserver"):
            headers = {"HTTP_SEC_WEBSOCKET_ORIGIN": good, "HTTP_ORIGIN": other}
            assert attempt("/status/204/", **version, **headers).status_code == 204

    def test_forwarded_protocol(self, client, settings):
        """Behind a proxy that ends TLS the scheme of the page is another than that of the request."""
        changes = {"HTTP_ORIGIN": "https://testserver", "HTTP_X_FORWARDED_PROTO": "https"}
        assert attempt("/unreachable/", **changes).status_code == 403
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        assert attempt("/status/204/", **changes).status_code == 204
        assert attempt("/unreachable/", **{**changes, "HTTP_ORIGIN": "http://testserver"}).status_code == 403
        assert attempt("/unreachable/", **{**changes, "HTTP_X_FORWARDED_PROTO": "http"}).status_code == 403

    @pytest.mark.parametrize(
        ("proto", "origin", "status"),
        [
            ("wss", "https://testserver", 204),
            (" wss , http", "https://testserver", 204),
            ("wss", "http://testserver", 403),
            ("wss", "https://evil.example", 403),
            ("ws", "http://testserver", 204),
            ("ws", "https://testserver", 403),
            ("http, wss", "https://testserver", 403),
            ("WSS", "https://testserver", 403),
        ],
    )
    def test_the_scheme_of_a_websocket(self, client, settings, proto, origin, status):
        """Traefik, for one, announces ``wss`` for an upgrade."""
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        path = "/status/204/" if status == 204 else "/unreachable/"
        assert attempt(path, HTTP_ORIGIN=origin, HTTP_X_FORWARDED_PROTO=proto).status_code == status

    def test_forwarded_host(self, client, settings):
        """The header counts only if the project trusts its proxy."""
        settings.ALLOWED_HOSTS = ["testserver", "public.example"]
        changes = {"HTTP_ORIGIN": "http://public.example", "HTTP_X_FORWARDED_HOST": "public.example"}
        assert attempt("/unreachable/", **changes).status_code == 403
        assert attempt("/status/204/", **{**changes, "HTTP_ORIGIN": "http://testserver"}).status_code == 204
        settings.USE_X_FORWARDED_HOST = True
        assert attempt("/status/204/", **changes).status_code == 204
        assert attempt("/unreachable/", **{**changes, "HTTP_ORIGIN": "http://testserver"}).status_code == 403

    @pytest.mark.parametrize("host", ["evil.example", "public.example, evil.example", "public.example@evil", ""])
    def test_a_malformed_forwarded_host(self, client, settings, host):
        settings.ALLOWED_HOSTS = ["testserver", "public.example"]
        settings.USE_X_FORWARDED_HOST = True
        changes = {"HTTP_ORIGIN": "http://public.example", "HTTP_X_FORWARDED_HOST": host}
        assert attempt("/unreachable/", **changes).status_code == 400

    def test_the_log_names_both_origins(self, client, caplog):
        """This record shows that a proxy does not report that it ends TLS."""
        attempt("/unreachable/", HTTP_ORIGIN="https://testserver")
        (record,) = records(caplog)
        assert record.getMessage() == (
            "WebSocket refused with 403 at /unreachable/: the Origin is not allowed "
            f"(this site is http://testserver, the page is of https://testserver); {remedies.TLS_PROXY}"
        )

    @pytest.mark.parametrize(
        ("header", "remedy"), [(None, remedies.NO_TLS_HEADER), ("http", remedies.OTHER_TLS_HEADER)]
    )
    def test_the_log_says_what_the_proxy_does_not_send(self, client, settings, caplog, header, remedy):
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        attempt("/unreachable/", HTTP_ORIGIN="https://testserver", HTTP_X_FORWARDED_PROTO=header)
        (record,) = records(caplog)
        assert record.getMessage().endswith(f"the page is of https://testserver); {remedy}")

    def test_the_log_names_the_page_where_origins_are_listed(self, client, settings, caplog):
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["https://example.org"]
        attempt("/unreachable/", HTTP_ORIGIN="http://testserver")
        (record,) = records(caplog)
        assert record.getMessage().endswith(
            f"the Origin is not allowed (the page is of http://testserver); {remedies.NOT_IN_ALLOWED_ORIGINS}"
        )

    def test_the_remedy_is_logged_whole(self, client, caplog):
        """A long origin is truncated, the remedy behind it is not."""
        attempt("/unreachable/", HTTP_ORIGIN=f"http://{'a' * 300}")
        (record,) = records(caplog)
        assert record.getMessage().endswith(f"...); {remedies.REPLACED_HOST}; {remedies.NOT_TRUSTED}")

    @pytest.mark.parametrize("letter", ["a", "\x00", "\\", "\U0001f600"])
    def test_the_log_shortens_an_origin(self, client, caplog, letter):
        attempt("/unreachable/", HTTP_ORIGIN=letter * 10_240)
        (record,) = records(caplog)
        assert "the Origin header is malformed (it says " in record.getMessage()
        assert record.getMessage().endswith("...)")
        assert len(record.getMessage()) < 300
