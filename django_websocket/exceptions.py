"""Every error this package raises, in one tree.

::

    WebSocketError
    ├── HandshakeError (also ValueError)      the request is no handshake we take; carries the HTTP status
    ├── SocketNotFound                        the server gives no access to the client's socket
    ├── ConnectionClosed                      the connection is gone; carries the close code and reason
    ├── ProtocolError                         the peer broke the protocol; carries the code to close with (1002)
    │   ├── InvalidData                       text that is not UTF-8, compressed data that is none (1007)
    │   ├── MessageTooBig                     over ``max_message_size`` (1009)
    │   └── PolicyViolation                   over another limit, such as ``max_fragments`` (1008)
    └── UnsupportedFeature (also TypeError)   the connection's protocol version has no such thing

The peer's mistakes are :class:`ProtocolError`, the caller's are ``TypeError``, ``ValueError`` and
:class:`UnsupportedFeature`, and :class:`ConnectionClosed` is nobody's mistake. A view meets only
the caller's kinds and :class:`ConnectionClosed`: a peer that breaks the protocol is answered inside the
package, and the view sees a closed connection.
"""

from __future__ import annotations

from collections.abc import Iterable


class WebSocketError(Exception):
    """Base of every error of this package."""


class HandshakeError(WebSocketError, ValueError):
    """An opening handshake that cannot be taken.

    ``status`` is the HTTP status to answer with (400 unless said otherwise) and ``headers`` the
    ``(name, value)`` pairs that belong on that answer. The text is one line, fit for the peer: it
    never repeats what the peer sent. That may stand in ``detail``, as it came: whoever logs it has to escape it.
    """

    def __init__(
        self, reason: str, *, status: int = 400, headers: Iterable[tuple[str, str]] = (), detail: str = ""
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = tuple(headers)
        self.detail = detail


#: The name this error had in django-websocket 0.3.
MalformedWebSocket = HandshakeError


class SocketNotFound(WebSocketError):
    """The WSGI server gives no access to the client's socket; the text names servers that do."""


class ConnectionClosed(WebSocketError):
    """The connection is gone: nothing more can be sent.

    ``code`` and ``reason`` are the closing's, as in :attr:`WebSocket.close_code` and
    :attr:`WebSocket.close_reason` (RFC 6455 section 7.1.5); 1006 when the peer vanished.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        # The reason is the peer's: escaped, as this text goes into logs.
        super().__init__(f"the WebSocket is closed ({int(code)}{', ' + ascii(reason) if reason else ''})")
        self.code = code
        self.reason = reason


class ProtocolError(WebSocketError):
    """The peer broke the protocol (RFC 6455 section 7.1.7); ``code`` is the close code that says so."""

    code = 1002


class InvalidData(ProtocolError):
    """Text or a close reason that is not UTF-8 (RFC 6455 section 8.1), or a compressed message that is not DEFLATE."""

    code = 1007


class MessageTooBig(ProtocolError):
    """A message over ``max_message_size`` (RFC 6455 section 10.4)."""

    code = 1009


class PolicyViolation(ProtocolError):
    """A peer over another limit, such as ``max_fragments`` (RFC 6455 section 7.4.1)."""

    code = 1008


class UnsupportedFeature(WebSocketError, TypeError):
    """Something the connection's protocol version cannot express, such as bytes over hixie-76."""
