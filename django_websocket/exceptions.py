"""The errors that this package raises, in one tree.

::

    WebSocketError
    ├── HandshakeError (also ValueError)      the request cannot be accepted; carries the HTTP status
    ├── SocketNotFound                        the server gives no access to the client's socket
    ├── ConnectionClosed                      the connection is gone; carries the close code and reason
    ├── ProtocolError                         the peer broke the protocol; carries the code to close with (1002)
    │   ├── InvalidData                       text that is not UTF-8, compressed data that is not DEFLATE (1007)
    │   ├── MessageTooBig                     over ``max_message_size`` (1009)
    │   └── PolicyViolation                   over another limit, such as ``max_fragments`` (1008)
    ├── UnsupportedFeature (also TypeError)   the connection's protocol version lacks the feature
    └── GroupError                            a group could not do what it was asked for
        ├── GroupUnavailable                  what carries its messages, such as Redis, is away
        └── GroupConfigurationError           ``WEBSOCKET_GROUPS`` is not right, or a package is missing

:class:`ProtocolError` is for mistakes of the peer; ``TypeError``, ``ValueError`` and :class:`UnsupportedFeature` are
for mistakes of the caller; :class:`ConnectionClosed` is nobody's mistake. A view meets only the errors of the caller,
those of groups if it uses them, and :class:`ConnectionClosed`: the package itself fails the connection of a peer that
breaks the protocol, and the view sees a closed connection.
"""

from __future__ import annotations

from collections.abc import Iterable


class WebSocketError(Exception):
    """The base class of the errors of this package."""


class HandshakeError(WebSocketError, ValueError):
    """An opening handshake that cannot be accepted.

    ``status`` is the HTTP status to answer with, 400 by default; if a server refused our request (client side), it is
    the status of that refusal. ``headers`` are ``(name, value)`` pairs for the answer. The text is one line that may be
    sent to the peer, because it never repeats input of the peer. ``detail`` may repeat such input, unescaped, and has
    to be escaped before it is logged. ``remedy`` says what to change, for whoever runs the site; it repeats no input of
    the peer either.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int = 400,
        headers: Iterable[tuple[str, str]] = (),
        detail: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = tuple(headers)
        self.detail = detail
        self.remedy = remedy


#: The name of :class:`HandshakeError` in django-websocket 0.3.
MalformedWebSocket = HandshakeError


class SocketNotFound(WebSocketError):
    """The WSGI server gives no access to the client's socket; the text names the servers that do."""


class ConnectionClosed(WebSocketError):
    """The connection is closed, so that nothing can be sent any more.

    ``code`` and ``reason`` are those of :attr:`WebSocket.close_code` and :attr:`WebSocket.close_reason` (RFC 6455
    sections 7.1.5 and 7.1.6). The code is 1006 if the peer vanished, and 1005 while there is no close code yet.

    ``source`` is the protocol of the closed connection, ``None`` if the error was not raised by a connection. A view
    may send to other connections than its own: only the ``ConnectionClosed`` of its own one is not an error of the
    view.
    """

    source: object = None

    def __init__(self, code: int, reason: str = "", *, source: object = None) -> None:
        # The reason is escaped, because it comes from the peer and the text of the error is logged.
        super().__init__(f"the WebSocket is closed ({int(code)}{', ' + ascii(reason) if reason else ''})")
        self.code = code
        self.reason = reason
        self.source = source


class ProtocolError(WebSocketError):
    """The peer broke the protocol (RFC 6455 section 7.1.7); ``code`` is the close code to answer with."""

    code = 1002


class InvalidData(ProtocolError):
    """A text message or a close reason is not UTF-8 (RFC 6455 section 8.1), or a compressed message is not DEFLATE."""

    code = 1007


class MessageTooBig(ProtocolError):
    """A message is over ``max_message_size`` (RFC 6455 section 10.4)."""

    code = 1009


class PolicyViolation(ProtocolError):
    """The peer exceeded another limit, such as ``max_fragments`` (RFC 6455 section 7.4.1)."""

    code = 1008


class UnsupportedFeature(WebSocketError, TypeError):
    """The protocol version of the connection lacks the feature that was asked for, such as bytes in hixie-76."""


class GroupError(WebSocketError):
    """A group could not do what it was asked for."""


class GroupUnavailable(GroupError):
    """What carries the messages of a group, such as Redis, is away, or does not answer in time.

    ``maybe_sent`` says whether the request may have been carried out all the same, or may still be: the answer to it is
    missing. A message is then perhaps sent; it is never sent again by itself.
    """

    def __init__(self, reason: str, *, maybe_sent: bool = False) -> None:
        super().__init__(reason)
        self.maybe_sent = maybe_sent


class GroupConfigurationError(GroupError):
    """``WEBSOCKET_GROUPS`` does not name the backend that was asked for, or that backend cannot be used."""
