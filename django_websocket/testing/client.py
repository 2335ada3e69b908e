"""Django's test client, with WebSockets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http.request import HttpHeaders
from django.test import Client, RequestFactory
from django.utils.encoding import iri_to_uri

from ..conf import DEFAULT_PROTOCOLS, Conf, import_protocol
from ..handshake.requests import parse
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
        headers: Mapping[str, str | None] | None = None,
        version: int = 13,
        secure: bool = False,
        compression: bool | Mapping[str, object] = False,
        **extra: Any,
    ) -> WebSocketSession:
        """Return a WebSocket to ``path``, to be used in a ``with`` statement, which opens and closes it.

        ``version`` is one of 13, 8, 7, 76 and 75. ``compression`` takes the values of ``WEBSOCKET_COMPRESSION``, and is
        offered by the client. ``extra`` holds further entries of the WSGI environ. The cookies, and so the login, are
        those of this client. The ``Origin`` is that of the site's own pages unless ``headers`` or ``extra`` have one;
        ``headers={"Origin": None}`` sends none, except with versions 76 and 75, which demand one.

        :raises ValueError: ``version`` does not exist, or ``compression`` has a value that it cannot have.
        :raises TypeError: ``compression`` has the wrong type.
        """
        protocols = map(import_protocol, DEFAULT_PROTOCOLS)
        protocol_class = next((protocol for protocol in protocols if version in protocol.versions), None)
        if protocol_class is None:
            raise ValueError(f"there is no WebSocket version {version}")
        environ = {**self.defaults, **extra}
        named = {name.lower(): value for name, value in (headers or {}).items()}
        given = {name: value for name, value in named.items() if value is not None}
        host = given.get("host") or environ.get("HTTP_HOST") or environ.get("SERVER_NAME") or "testserver"
        # The page is where the project takes itself to be, which headers such as X-Forwarded-Proto may say.
        environ |= {**HttpHeaders.to_wsgi_names(given), "HTTP_HOST": host, "HTTP_UPGRADE": "websocket"}
        seen = parse(RequestFactory().get("/", secure=secure, **environ))
        sent = {name: value for name, value in given.items() if name != "host"}
        if "origin" not in named:
            own = f"{'https' if seen.secure else 'http'}://{seen.host or host}"
            sent["origin"] = environ.get("HTTP_ORIGIN", own)
        request = Request(target=iri_to_uri(path), host=host, secure=seen.secure, headers=sent)
        protocol = protocol_class(
            request,
            client=True,
            version=version,
            subprotocols=subprotocols,
            compression=Conf.compression.validate(compression),
        )
        return WebSocketSession(self, protocol, path, secure=secure, headers=given, extra=extra)
