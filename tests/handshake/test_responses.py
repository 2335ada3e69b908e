"""Refusals, and the response of a WebSocket that has ended."""

from types import NoneType

import pytest
from django.http import HttpResponse

from django_websocket.handshake.responses import response_of_ended_websocket
from django_websocket.process.registry import registry

from ..observing import records
from ..refusals import FAULTS, NO_KEY
from ..requests import HIXIE76, attempt
from ..views import OURS

PROTOCOLS = "django_websocket.protocols"


class TestVersions:
    """A refusal because of the version names the versions that are spoken here (RFC 6455 section 4.4)."""

    @pytest.mark.parametrize("version", ["14", "12", "6", "0", "", "thirteen", None])
    def test_an_unknown_version(self, client, version):
        response = attempt("/unreachable/", HTTP_SEC_WEBSOCKET_VERSION=version)
        assert response.status_code == 400
        assert response.headers["Sec-WebSocket-Version"] == "13, 8, 7"

    def test_a_version_that_is_not_spoken_here(self, client, settings):
        settings.WEBSOCKET_PROTOCOLS = [f"{PROTOCOLS}.rfc6455.RFC6455"]
        response = attempt("/unreachable/", HIXIE76)
        assert response.content == b"the handshake is of no version that is spoken here\n"
        assert response.headers["Sec-WebSocket-Version"] == "13, 8, 7"

    def test_only_old_versions_are_spoken_here(self, client, settings):
        settings.WEBSOCKET_PROTOCOLS = [f"{PROTOCOLS}.hixie76.Hixie76"]
        response = attempt("/unreachable/")
        assert response.status_code == 400
        assert "Sec-WebSocket-Version" not in response.headers

    @pytest.mark.parametrize("changes", [{"HTTP_SEC_WEBSOCKET_KEY": "x"}, {"HTTP_ORIGIN": "http://evil.example"}])
    def test_other_refusals_name_no_versions(self, client, changes):
        assert "Sec-WebSocket-Version" not in attempt("/unreachable/", **changes).headers


class TestNothingIsReflected:
    EVIL = "<script>\x1b[m\r\nX-Injected: evil\x00\x85\u2028"

    @pytest.mark.parametrize(
        "name",
        [
            "HTTP_CONNECTION",
            "HTTP_ORIGIN",
            "HTTP_HOST",
            "HTTP_SEC_WEBSOCKET_KEY",
            "HTTP_SEC_WEBSOCKET_VERSION",
            "HTTP_SEC_WEBSOCKET_PROTOCOL",
            "HTTP_SEC_WEBSOCKET_EXTENSIONS",
        ],
    )
    @pytest.mark.parametrize("middleware", [[OURS], []])
    def test_headers(self, settings, caplog, name, middleware):
        settings.MIDDLEWARE = middleware
        response = attempt("/unreachable/", **{name: self.EVIL})
        assert response.status_code in {400, 403}
        assert "evil" not in response.serialize().decode() + response.headers.get("Location", "")
        assert response.content.count(b"\n") == 1
        (record,) = records(caplog)
        assert record.getMessage().isascii()
        assert record.getMessage().isprintable()

    @pytest.mark.parametrize("name", ["HTTP_ORIGIN", "HTTP_SEC_WEBSOCKET_KEY1", "HTTP_SEC_WEBSOCKET_PROTOCOL"])
    def test_headers_of_hixie76(self, client, caplog, name):
        response = attempt("/unreachable/", HIXIE76, **{name: self.EVIL})
        assert response.status_code == 400
        assert b"evil" not in response.serialize()

    def test_the_path_is_escaped_in_the_log(self, client, caplog):
        response = attempt("/any/%0A%1B[31m%0D%0Aforged%20line%E2%80%A8é/", HTTP_SEC_WEBSOCKET_KEY="x")
        assert b"forged" not in response.serialize()
        (record,) = records(caplog)
        assert record.getMessage() == (
            r"WebSocket refused with 400 at /any/\n\x1b[31m\r\nforged line\u2028\xe9/: " + NO_KEY
        )

    def test_the_path_is_shortened_in_the_log(self, client, caplog):
        attempt(f"/any/{'a' * 10_000}/", HTTP_SEC_WEBSOCKET_KEY="x")
        (record,) = records(caplog)
        assert len(record.getMessage()) < 300

    def test_the_path_is_escaped_in_the_log_of_a_connection(self, client, caplog, wire):
        wire("/listen/%0Aforged/", b"", b"\xff\xff")
        found = records(caplog, "django_websocket.connection")
        assert [record.getMessage().partition(" with")[0].partition(" 1002")[0] for record in found] == [
            r"WebSocket /listen/\nforged/ failed",
            r"WebSocket closed: /listen/\nforged/",
        ]
        assert not any("\n" in record.getMessage() for record in found)


@pytest.mark.parametrize("fault", ["malformed", "origin", "draining"])
def test_a_refusal_is_logged_once(client, monkeypatch, caplog, fault):
    """Django logs any response from 400 on, and mails a 503 to the admins of the site."""
    monkeypatch.setattr(registry, "draining", FAULTS[fault].draining)
    assert attempt("/unreachable/", **FAULTS[fault].changes).status_code == FAULTS[fault].status
    assert [record.name for record in caplog.records] == ["django_websocket.handshake"]


def test_a_server_sees_nothing_that_middleware_adds_to_an_ended_response():
    end = response_of_ended_websocket()
    end["X-Header"], end.status_code = "value", 500
    end.set_cookie("name", "value")
    assert response_of_ended_websocket(end) is end
    assert (end.status_code, list(end.items()), dict(end.cookies)) == (101, [], {})


def test_an_ended_response_has_all_attributes_of_a_response():
    """Its constructor does not call Django's, which may set more of them one day."""
    end, full = response_of_ended_websocket(), HttpResponse()
    assert [name for name in vars(full) if not hasattr(end, name)] == []
    assert dict(end.headers) == dict(full.headers)
    assert (end.content, end.charset, end.reason_phrase) == (b"", "utf-8", "Switching Protocols")
    assert end.closed is False
    assert end.has_header("content-type")


def test_ended_responses_share_nothing():
    one, other = response_of_ended_websocket(), response_of_ended_websocket()
    for name, value in vars(HttpResponse()).items():
        mine = getattr(one, name)
        assert mine is not getattr(other, name) or isinstance(mine, (bool, str, NoneType))
        assert type(mine) is type(value)
