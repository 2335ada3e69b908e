"""The test case of this package, and clients in tests of other kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.test import TestCase

from django_websocket.testing import WebSocketClient, WebSocketSession, WebSocketTestCase

if TYPE_CHECKING:
    from typing_extensions import assert_type


class EchoTests(WebSocketTestCase):
    def test_echo(self) -> None:
        with self.client.websocket("/echo/", subprotocols=["echo"], version=13) as ws:
            assert_type(ws, WebSocketSession)
            ws.send("hello")
            assert_type(ws.wait(), str | bytes | None)
        assert_type(self.client.get("/").status_code, int)  # reported: bare assert-type
        self.client.websockets("/echo/")  # reported: mypy attr-defined; pyright reportAttributeAccessIssue


class OwnClient(WebSocketClient):
    def knock(self) -> None: ...


class OwnTests(WebSocketTestCase):
    client_class = OwnClient

    def test_knock(self) -> None:
        OwnClient().knock()


class OldTests(TestCase):  # reported: bare misc
    client_class = WebSocketClient

    def test_echo(self) -> None:
        self.client.websocket("/echo/")  # reported: mypy attr-defined; pyright reportAttributeAccessIssue
