"""Django's test client, with WebSockets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.test import Client
from django.utils.encoding import iri_to_uri

from ..conf import DEFAULT_PROTOCOLS, Conf, import_protocol
from ..protocols.http import Request
from .session import WebSocketSession


class WebSocketClient(Client):
    """Django's test client, with WebSockets.

    ::

        with client.websocket("/chat/", subprotocols=["chat.v2"]) as ws:
            ws.send("hello")
            assert ws.wait() == "hello"
    """

    def websocket(
        self,
        path: str,
        *,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        version: int = 13,
        secure: bool = False,
        compression: bool | Mapping[str, object] = False,
        **extra: Any,
    ) -> WebSocketSession:
        """Return a WebSocket to ``path``, to be used in a ``with`` statement, which opens and closes it.

        ``version`` is one of 13, 8, 7, 76 and 75. ``compression`` takes the values of ``WEBSOCKET_COMPRESSION``, and is
        offered by the client. ``extra`` holds further entries of the WSGI environ. The cookies, and so the login, are
        those of this client.

        :raises ValueError: ``version`` does not exist, or ``compression`` has a value that it cannot have.
        :raises TypeError: ``compression`` has the wrong type.
        """
        protocols = map(import_protocol, DEFAULT_PROTOCOLS)
        protocol_class = next((protocol for protocol in protocols if version in protocol.versions), None)
        if protocol_class is None:
            raise ValueError(f"there is no WebSocket version {version}")
        environ = {**self.defaults, **extra}
        given = {name.lower(): value for name, value in (headers or {}).items()}
        host = given.pop("host", environ.get("HTTP_HOST") or environ.get("SERVER_NAME") or "testserver")
        if "HTTP_ORIGIN" in environ:
            given.setdefault("origin", environ["HTTP_ORIGIN"])
        request = Request(target=iri_to_uri(path), host=host, secure=secure, headers=given)
        protocol = protocol_class(
            request,
            client=True,
            version=version,
            subprotocols=subprotocols,
            compression=Conf.compression.validate(compression),
        )
        return WebSocketSession(self, protocol, path, secure=secure, headers=headers, extra=extra)
