"""The WebSocket that a view holds as ``request.websocket``: messages in and out, and the closing of the connection."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import EllipsisType
from typing import Any, Final

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest
from django.template.loader import render_to_string

from .connection.connection import Connection
from .connection.hooks import NO_HOOKS, Hooks
from .connection.opening import Opening
from .options import Options
from .process.identity import identity
from .protocols.base import Message, Protocol, State
from .protocols.close_codes import CloseCode, check_close

#: The logger of all refusals of a WebSocket.
logger = logging.getLogger("django_websocket.handshake")

#: The number of the call of :meth:`WebSocket.wait` on a closed connection that raises instead of returning ``None``.
MAX_CLOSED_WAITS: Final = 100


class WebSocket:
    """A WebSocket connection, as ``request.websocket``.

    The handshake is sent on first use. From then on :meth:`send`, :meth:`send_json`, :meth:`ping` and :meth:`close`
    may be called from any thread; receiving is for one thread at a time, normally the view's. The system's socket is
    closed when the view has ended, not before.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_connection",
        "_handshake_timeout",
        "_name",
        "_opening",
        "_protocol",
        "_subprotocol",
        "_times_reported_closed",
    )

    def __init__(
        self,
        protocol: Protocol,
        take_over: Callable[[], tuple[Any, bytes]],
        options: Options,
        hooks: Hooks = NO_HOOKS,
        name: str = "",
    ) -> None:
        """Make the WebSocket of a checked handshake.

        ``take_over`` returns the server's socket and the bytes that the server has read from it; it is called once,
        when the handshake is sent. ``name`` names the connection in the log.
        """
        protocol.defers_end = True
        self._protocol = protocol
        self._name = name
        self._handshake_timeout = options.handshake_timeout
        self._subprotocol = next((name for name in options.subprotocols if name in protocol.offered_subprotocols), None)
        self._times_reported_closed = 0
        #: The handshake until it is sent, then ``None``. :attr:`_connection` is set at that moment. If the view ends
        #: before it sends the handshake, both are ``None``.
        self._opening: Opening | None = Opening(protocol, take_over, options, hooks, name)
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        return f"<WebSocket {self._name or hex(id(self))} version {self.version} {self._protocol.state.name}>"

    # State

    @property
    def handshake_sent(self) -> bool:
        """Whether the handshake has been sent, after which no HTTP response can be sent any more."""
        return self._connection is not None

    @property
    def version(self) -> int:
        """The protocol version: 75, 76, 13, 8 or 7."""
        return self._protocol.version

    @property
    def offered_subprotocols(self) -> tuple[str, ...]:
        """The subprotocols that the client offered, in its order."""
        return self._protocol.offered_subprotocols

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol: the view's first that the client offers, unless :meth:`accept` got another; or ``None``."""
        return self._subprotocol

    #: The name of :attr:`subprotocol` in django-websocket 0.3.
    protocol = subprotocol

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent; :meth:`wait` still returns what has come in before.

        The property looks for what has come in, without waiting, at most once a second. It stays false while the view
        may still answer what came ahead of the client's Close. Thread-safe.
        """
        if self._connection is not None and self._protocol.state is State.OPEN:
            self._connection.poll_sometimes()
        return self._protocol.state >= State.CLOSING

    @property
    def close_code(self) -> int | None:
        """The peer's close code; ours if we failed the connection, 1005 if the peer sent none, 1006 if it vanished.

        ``None`` until the connection has ended (RFC 6455 section 7.1.5).
        """
        return self._protocol.close_code

    @property
    def close_reason(self) -> str:
        """The reason that came with :attr:`close_code`, ``""`` for none (RFC 6455 section 7.1.6)."""
        return self._protocol.close_reason

    @property
    def latency(self) -> float | None:
        """Seconds between the last answered ping and its pong; ``None`` before the first."""
        return None if self._connection is None else self._connection.latency

    @property
    def member_id(self) -> str:
        """A text by which groups in every process know this WebSocket: ``exclude=`` takes it."""
        # setdefault() is atomic.
        return self.__dict__.get("member_id") or self.__dict__.setdefault("member_id", identity.next_id())  # type: ignore[no-any-return]

    @property
    def has_member_id(self) -> bool:
        """Whether anybody has asked for the :attr:`member_id`, so that it can be known elsewhere."""
        return "member_id" in self.__dict__

    # Opening

    def accept(
        self,
        subprotocol: str | EllipsisType | None = ...,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
    ) -> None:
        """Send the handshake now, with another subprotocol than the negotiated one, or with more headers.

        When :meth:`accept` returns, the connection is open, or closed if the client is gone. A call without arguments
        after the handshake does nothing.

        :raises ValueError: the client did not offer the subprotocol, or a header field must not be added; nothing was
            sent.
        :raises RuntimeError: the handshake has been sent, and cannot have this subprotocol or these headers any more;
            or another thread is sending it.
        :raises ConnectionClosed: the WebSocket was closed before its handshake.
        """
        if self._connection is not None:
            if subprotocol is not ... or headers:
                raise RuntimeError("the handshake has been sent already")
            return
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        self._open(self._subprotocol if subprotocol is ... else subprotocol, pairs)

    #: The name of :meth:`accept` in django-websocket 0.3.
    send_handshake = accept

    def open(self) -> Connection:
        """Send the handshake, unless it was sent, and return the connection; groups call this.

        :raises Exception: the errors of :meth:`accept`.
        """
        return self._connection or self._open(self._subprotocol)

    def _open(
        self,
        subprotocol: str | None,
        headers: Iterable[tuple[str, str]] = (),
        *,
        too_late: str = "",
        rejecting: bool = False,
    ) -> Connection:
        """Send the handshake and return the connection; the errors are those of :meth:`accept`.

        If the handshake was sent already, perhaps by another thread just now, return the connection without doing
        anything, or raise ``RuntimeError`` with the text ``too_late``. A WebSocket that the caller is ``rejecting`` is
        not reported as accepted.
        """
        # Read in this order, the opposite of the one in which they are set: without an opening there is a connection,
        # unless the view has ended.
        opening = self._opening
        if self._connection is not None:
            if too_late:
                raise RuntimeError(too_late)
            return self._connection
        if opening is None:
            raise self._protocol.closed_error()
        connection, received = opening.answer(subprotocol, headers)
        try:
            connection.start(received, self._handshake_timeout, opening.began)
        finally:
            # Other threads see the connection from now on. Before, their frames could overtake the handshake.
            self._connection = connection
            if self._opening is None:
                # The view, in another thread, has ended meanwhile.
                connection.end(CloseCode.NORMAL_CLOSURE, wait=False)
            self._opening = None
        self._subprotocol = self._protocol.subprotocol
        if not rejecting:
            opening.hooks.after_handshake(self)
        return connection

    def reject(self, code: int, reason: str = "") -> None:
        """Send the handshake only to close the connection at once, with a code that the page can see.

        A browser tells its page nothing of a handshake that is refused by an HTTP response: the close code is always
        1006. Codes from 4000 to 4999 are the application's own; this package uses 4401 for a user who is not logged in
        and 4403 for one without permission. The rejection is logged as a refusal. Like :meth:`close`, the call waits
        for the peer's Close up to the close timeout. hixie-75 and hixie-76 carry no code: there the page sees a
        connection that opens and closes.

        :raises TypeError: ``code`` is no ``int``, or ``reason`` no ``str``.
        :raises ValueError: ``code`` may not be sent (RFC 6455 section 7.4), or ``reason`` is over 123 bytes of UTF-8.
        :raises RuntimeError: the handshake has been sent, so that it is too late to reject it; or another thread is
            sending it.
        :raises ConnectionClosed: the WebSocket was closed before its handshake.
        """
        check_close(code, reason)
        opening = self._opening
        connection = self._open(
            self._subprotocol,
            too_late="the handshake has been sent already, so it cannot be rejected: close() ends the WebSocket",
            rejecting=True,
        )
        shown = reason and f": {ascii(reason)[1:-1]}"
        logger.warning("WebSocket refused with %d at %s%s", code, self._name, shown, extra={"close_code": int(code)})
        try:
            connection.close(code, reason)
        finally:
            if opening is not None:
                opening.hooks.after_rejection(self, code, reason)

    # Receiving

    def wait(self, timeout: float | None = None) -> Message | None:
        """Return the next message: ``str`` for text, ``bytes`` for binary, ``None`` once the connection is closed.

        ``timeout`` is in seconds; ``None`` is no limit. Pings are sent and answered while :meth:`wait` waits.

        :raises TimeoutError: no message came in time; the connection stays as it is.
        :raises TypeError: ``timeout`` is not a number.
        :raises ValueError: ``timeout`` is NaN.
        :raises ConnectionClosed: the connection is closed and this is the hundredth call since, or the WebSocket ended
            before its handshake.
        :raises RuntimeError: another thread is waiting.
        """
        if timeout is not None:
            check_timeout(timeout, "wait()")
        connection = self._connection or self._open(self._subprotocol)
        message = connection.take() if timeout is None else connection.take_in_time(timeout)
        if message is None:
            self.report_closed()
        return message

    def __iter__(self) -> Iterator[Message]:
        """Return an iterator over the messages until the connection is closed."""
        connection = self._connection or self._open(self._subprotocol)
        return connection.iterate(self.report_closed)

    def report_closed(self) -> None:
        """Count the reports that the connection is closed, so that a view with ``while True: wait()`` ends.

        :raises ConnectionClosed: this is the hundredth report.
        """
        self._times_reported_closed += 1
        if self._times_reported_closed >= MAX_CLOSED_WAITS:
            raise self._protocol.closed_error()

    def read(self, fallback: Any = None) -> Any:
        """Return the next message if one is there, else ``fallback``; never wait, except for the handshake."""
        connection = self._poll()
        return connection.messages.pop(0) if connection.messages else fallback

    def has_messages(self) -> bool:
        """Return whether a complete message is there; never wait, except for the handshake."""
        return bool(self._poll().messages)

    def _poll(self) -> Connection:
        """Return the connection, after a read without waiting if no message is queued."""
        connection = self._connection or self._open(self._subprotocol)
        if not connection.messages:
            connection.look()
        return connection

    def count_messages(self) -> int:
        """Return the number of complete messages that have arrived, as far as one read of the socket takes them.

        The call never waits, except for the handshake.
        """
        connection = self._connection or self._open(self._subprotocol)
        connection.look()
        return len(connection.messages)

    def wait_json(self, timeout: float | None = None) -> Any:
        """Return the next message decoded from JSON, ``None`` once the connection is closed.

        :raises ValueError: the message is not JSON, or is nested too deeply.
        :raises Exception: the errors of :meth:`wait`.
        """
        message = self.wait(timeout)
        if message is None:
            return None
        try:
            return json.loads(message)
        except RecursionError:
            raise ValueError("the JSON is nested too deeply") from None

    # Sending

    def send(self, message: object, compress: bool | None = None) -> None:
        """Send a message: ``str`` as text, bytes-like as binary, numbers and other objects as ``str(message)``.

        Where compression was agreed on, ``compress=False`` sends the message uncompressed, and ``compress=True``
        ignores the threshold. The call waits while the client does not read. Thread-safe.

        :raises ConnectionClosed: the connection is gone, or the client took no byte for the send timeout.
        :raises UnsupportedFeature: bytes over hixie-75 or hixie-76.
        :raises TypeError: ``message`` is ``None``, or a collection, for which :meth:`send_json` is meant.
        :raises RuntimeError: the call, of a signal handler or a finalizer, interrupts another one that sends.
        """
        if type(message) is not str and not isinstance(message, (str, bytes, bytearray, memoryview)):
            message = _convert(message)
        (self._connection or self._open(self._subprotocol)).send(message, compress)

    @contextmanager
    def corked(self) -> Iterator[None]:
        """Collect the messages that are sent inside the ``with`` block, and send them together.

        They are sent at the end of the block, before the view waits for a message, or once there are 64 KiB of them.
        What other threads send meanwhile is collected too. A connection that is gone is noticed when the messages are
        sent, so that :meth:`send` may raise its error later than usual. A block inside another one does nothing.
        """
        connection = self._connection or self._open(self._subprotocol)
        if not connection.cork():
            yield
            return
        try:
            yield
        except Exception:
            connection.uncork()
            raise
        except BaseException:
            # The process, or the greenlet, is being stopped.
            connection.uncork(wait=False)
            raise
        connection.uncork()

    def send_json(self, obj: object, compress: bool | None = None) -> None:
        """Send ``obj`` as JSON text, with Django's encoder (dates, decimals, UUIDs); the rest as :meth:`send`.

        :raises TypeError: ``obj`` is not JSON serializable.
        """
        self.send(json.dumps(obj, cls=DjangoJSONEncoder), compress)

    def send_template(
        self,
        template_name: str | Sequence[str],
        context: Mapping[str, Any] | None = None,
        *,
        request: HttpRequest | None = None,
        using: str | None = None,
        compress: bool | None = None,
    ) -> None:
        """Render a template and send it as text; ``compress`` and the rest as :meth:`send`.

        The arguments are those of Django's ``render_to_string()``: of several names the first template that exists is
        taken. Context processors and ``{% csrf_token %}`` need the ``request``. The template is rendered before the
        handshake, if that is still to be sent, so that the handshake can set the CSRF cookie.

        :raises TemplateDoesNotExist: there is no such template.
        :raises TemplateSyntaxError: the template has a mistake.
        """
        # The WebSocket has no request of its own: that would be a cycle, and other threads, which may send as well,
        # would share its lazily loaded user and session with the view.
        names = template_name if isinstance(template_name, str) else list(template_name)
        self.send(render_to_string(names, context, request, using), compress)

    def ping(self, data: bytes = b"") -> None:
        """Send a ping now, with up to 125 bytes; :attr:`latency` changes when its pong is read. Thread-safe.

        :raises TypeError: ``data`` is not bytes-like.
        :raises ValueError: ``data`` is over 125 bytes (RFC 6455 section 5.5).
        :raises ConnectionClosed: the connection is gone.
        :raises UnsupportedFeature: over hixie-75 or hixie-76.
        :raises RuntimeError: the call, of a signal handler or a finalizer, interrupts another one that sends.
        """
        connection = self._connection or self._open(self._subprotocol)
        connection.ping(data)

    # Closing

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection: send Close and wait for the peer's, up to the close timeout.

        Messages that arrive meanwhile are dropped; those that arrived before can still be read. On a closed connection
        the call does nothing. In another thread than the view's the call only sends Close, and the view's :meth:`wait`
        finishes the closing handshake. A message that another thread is sending is sent to its end first, unless the
        client takes not one byte of it for the close timeout. Thread-safe. hixie-75 and hixie-76 carry no code.

        :raises TypeError: ``code`` is no ``int``, or ``reason`` no ``str``.
        :raises ValueError: ``code`` may not be sent (RFC 6455 section 7.4), or ``reason`` is over 123 bytes of UTF-8.
        """
        # An illegal code is an error before the handshake is sent, and on a closed connection too.
        check_close(code, reason)
        connection = self._connection or self._open(self._subprotocol)
        connection.close(code, reason)

    def end(self, code: int = CloseCode.NORMAL_CLOSURE, *, wait: bool = True) -> None:
        """Close the connection and shut its socket down; the middleware calls this when the view has ended.

        ``wait=False`` does not wait for the peer: the process, or the greenlet, is being stopped.
        """
        # The order is the opposite of that in _open(), which may be running in another thread.
        self._opening = None
        try:
            if self._connection is None:
                self._protocol.connection_lost()
            else:
                self._connection.end(code, wait=wait)
        finally:
            self._run_at_end()

    def at_end(self, key: object, call: Callable[[], object]) -> None:
        """Call ``call`` when the WebSocket has ended, or now if it is closed; it replaces another one for ``key``.

        ``call`` must neither wait nor raise an error. Thread-safe.
        """
        # setdefault() is atomic. Most WebSockets need no such dictionary.
        self.__dict__.setdefault("_at_end", {})[key] = call
        if self._protocol.state is State.CLOSED:
            # The end may be over, or may find the call at the same time: it is called by whoever pops it.
            self._run_at_end()

    def find_at_end(self, key: object) -> Callable[[], object] | None:
        """Return what will be called at the end for ``key``, ``None`` if it is nothing."""
        return self._calls_at_end.get(key)

    def take_at_end(self, key: object) -> Callable[[], object] | None:
        """Return what would be called at the end for ``key``, and forget it; ``None`` if it is nothing."""
        return self._calls_at_end.pop(key, None)

    @property
    def _calls_at_end(self) -> dict[object, Callable[[], object]]:
        """What is called at the end, by a key."""
        return self.__dict__.get("_at_end") or {}

    def _run_at_end(self) -> None:
        while calls := self._calls_at_end:
            try:
                _, call = calls.popitem()
            except KeyError:
                # Another thread has taken the last one.
                return
            call()


def check_timeout(timeout: float, call: str) -> None:
    """Check the timeout of a wait, for the error text of ``call``.

    :raises TypeError: it is not a number.
    :raises ValueError: it is NaN, with which the wait would never end.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"{call} takes a timeout in seconds, not {type(timeout).__name__}")
    if math.isnan(timeout):
        raise ValueError(f"{call} takes a timeout in seconds, not NaN")


def _convert(message: object) -> str | memoryview:
    """Return what is sent for a message that is neither ``str`` nor bytes.

    :raises TypeError: its ``str()`` would not be a message that anybody could read.
    """
    if message is None or isinstance(message, (dict, list, tuple, set, frozenset)):
        raise TypeError(f"send() takes str or bytes, not {type(message).__name__}; send_json() sends it as JSON")
    try:
        return memoryview(message)  # type: ignore[arg-type]
    except TypeError:
        return str(message)
