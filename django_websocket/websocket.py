"""The WebSocket of a view: messages, and the closing of the connection."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from types import EllipsisType
from typing import Any, Final

from .connection.connection import Connection
from .exceptions import ConnectionClosed
from .process.closer import reaper
from .process.registry import registry
from .protocols.base import CloseCode, Message, State, check_close
from .transports import Transport

#: How often in a row :meth:`WebSocket.wait` says that the connection is closed before it raises.
MAX_NONES: Final = 100
#: Seconds after which :meth:`WebSocket.send` looks for what has come in.
LOOK_INTERVAL: Final = 1.0
#: Seconds that the end of a view waits for each of other threads that still send or read, after they were woken.
LEAVING_TIME: Final = 1.0


class WebSocket(Connection):
    """A WebSocket connection, as ``request.websocket``.

    The handshake is sent on first use. From then on :meth:`send`, :meth:`send_json`, :meth:`ping` and :meth:`close`
    may be called from any thread; receiving is for one thread at a time, normally the view's. The system's socket is
    closed when the view has ended, not before.
    """

    def __repr__(self) -> str:
        return f"<WebSocket {self._name or hex(id(self))} version {self.version} {self._protocol.state.name}>"

    # What it is

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
        """The negotiated subprotocol, or ``None``: the first of the view's that the client offers."""
        return self._subprotocol

    #: The name this had in 2010.
    protocol = subprotocol

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent; :meth:`wait` still gives what has come in before."""
        return self._protocol.state >= State.CLOSING

    @property
    def close_code(self) -> int | None:
        """The peer's close code; ours if we failed the connection, 1005 if the peer gave none, 1006 if it vanished.

        ``None`` until the connection has ended (RFC 6455 section 7.1.5).
        """
        return self._protocol.close_code

    @property
    def close_reason(self) -> str:
        """The reason that came with :attr:`close_code`, ``""`` for none (RFC 6455 section 7.1.6)."""
        return self._protocol.close_reason

    @property
    def latency(self) -> float | None:
        """Seconds that the last answered ping took there and back; ``None`` before the first."""
        return self._keepalive.latency

    # Opening

    def accept(
        self,
        subprotocol: str | EllipsisType | None = ...,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
    ) -> None:
        """Send the handshake now, with another subprotocol than the negotiated one, or with more headers.

        Returns when the connection is open, or closed if the client is gone. Does nothing after the handshake, unless
        it is asked for something that comes too late: ``RuntimeError``.

        :raises ValueError: a subprotocol that the client did not offer, or a header that is not clean; nothing has
            been sent then.
        """
        if self._transport is not None:
            if subprotocol is not ... or headers:
                raise RuntimeError("the handshake has been sent already")
            return
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        self._connect(self._subprotocol if subprotocol is ... else subprotocol, pairs)
        self._subprotocol = self._protocol.subprotocol

    #: The name this had in 2010.
    send_handshake = accept

    def _open(self) -> Transport:
        """Give the transport, after the handshake."""
        if self._transport is None:
            self.accept()
            assert self._transport is not None
        return self._transport

    # Receiving

    def wait(self, timeout: float | None = None) -> Message | None:
        """Wait for the next message: ``str`` for text, ``bytes`` for binary, ``None`` once the connection is closed.

        ``timeout`` is in seconds, ``None`` waits as long as the connection lasts. Pings are answered, and sent, here.

        :raises TimeoutError: no message came in time; the connection stays as it is.
        :raises ConnectionClosed: it has said ``None`` a hundred times in a row.
        :raises RuntimeError: another thread is waiting.
        """
        if self._transport is None:
            self.accept()
        if self._messages or self._wait(timeout):
            return self._messages.popleft()
        return None

    def __iter__(self) -> Iterator[Message]:
        """Give messages until the connection is closed."""
        if self._transport is None:
            self.accept()
        while self._messages or self._wait(None):
            yield self._messages.popleft()

    def _wait(self, timeout: float | None) -> bool:
        """Wait until there is a message; gives ``False`` once there will be none.

        While there is nothing to do but to wait for bytes, as there nearly always is, this asks for little else.
        """
        if timeout is None and self._calm and not self._holds and self._reading.acquire(False):
            transport, protocol, messages = self._transport, self._protocol, self._messages
            assert transport is not None
            self._waiting = True
            try:
                while not messages and self._calm:
                    data = transport.receive()
                    position = protocol.take_whole_messages(data, messages)
                    if position != len(data) or not data:
                        self._feed(data[position:])
                    now = self._keepalive.heard = self._clock()
                    if now >= self._due:
                        self._calm = False
            except TimeoutError:
                self._calm = False
            finally:
                self._waiting = False
                self._reading.release()
            if messages:
                return True
        return self._wait_carefully(timeout)

    def _wait_carefully(self, timeout: float | None) -> bool:
        """Wait for a message, and see to all that is due meanwhile."""
        transport = self._open()
        deadline = None if timeout is None else self._clock() + timeout
        # Another thread that sends may be looking for what has come, which takes no time.
        if not self._reading.acquire(False):
            if self._waiting:
                raise RuntimeError("another thread is waiting for this WebSocket's messages")
            self._reading.acquire()
        self._waiting = True
        try:
            while not self._messages:
                if self._protocol.state is State.CLOSED:
                    self._count_none()
                    return False
                self._receive(transport, deadline)
                if deadline is not None and not self._messages and self._clock() >= deadline:
                    raise TimeoutError("no message came in time")
        finally:
            self._waiting = False
            self._reading.release()
        return True

    def _count_none(self) -> None:
        """Let :meth:`wait` not say ``None`` for ever: ``while True: wait()`` is to end."""
        self._nones += 1
        if self._nones >= MAX_NONES:
            raise self._protocol.closed_error()

    def read(self, fallback: Any = None) -> Any:
        """Give the next message if one is there, else ``fallback``. Never waits after the handshake."""
        if self.has_messages():
            return self._messages.popleft()
        return fallback

    def has_messages(self) -> bool:
        """Tell whether a complete message is waiting. Never waits after the handshake."""
        transport = self._open()
        if not self._messages:
            self._look(transport, asked=True)
        return bool(self._messages)

    def count_messages(self) -> int:
        """Count the complete messages among what has come, up to one read's worth. Never waits after the handshake."""
        self._look(self._open(), asked=True)
        return len(self._messages)

    def wait_json(self, timeout: float | None = None) -> Any:
        """Wait for a message and decode it as JSON; ``None`` once the connection is closed.

        :raises ValueError: it is not JSON.
        :raises TimeoutError: as :meth:`wait`.
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
        """Send a message: ``str`` as text, bytes-like as binary, anything else as ``str(message)``.

        Where compression was agreed on, ``compress=False`` sends this message as it is, and ``True`` compresses it
        whatever its length.

        Waits while the client does not read. Thread-safe.

        :raises ConnectionClosed: the connection is gone, or the client accepted nothing for the send timeout.
        :raises UnsupportedFeature: bytes over hixie-75 or hixie-76.
        """
        if self._transport is None:
            self.accept()
        if self._clock() - self._looked > LOOK_INTERVAL:
            self._look_up()
        if type(message) is not str and not isinstance(message, (str, bytes, bytearray, memoryview)):
            try:
                message = memoryview(message)  # type: ignore[arg-type]
            except TypeError:
                message = str(message)
        writing = self._writing
        writing.acquire()
        try:
            # Without the mutex: whatever else the protocol is told meanwhile, this goes out ahead of its answer.
            data, payload = self._protocol.encode(message, compress)
            self._put(data, payload)
        finally:
            writing.release()
            if self._left:
                self._flush()

    def _look_up(self) -> None:
        """See, once in a while, to what a view that only sends would miss."""
        transport, now = self._open(), self._clock()
        if now >= self._due and transport.current() == self._owner and self._reading.acquire(False):
            # Else a thread that waits does it.
            try:
                self._revalidate(transport)
            finally:
                self._reading.release()
        self._looked = max(self._looked, self._keepalive.heard)
        if now - self._looked > LOOK_INTERVAL:
            self._look(transport)

    def send_json(self, obj: object, compress: bool | None = None) -> None:
        """Send ``obj`` as JSON text, with Django's encoder (dates, decimals, UUIDs); the rest as :meth:`send`.

        :raises TypeError: ``obj`` is nothing that JSON can say.
        """
        self.send(json.dumps(obj, cls=self._encoder), compress)

    def ping(self, data: bytes = b"") -> None:
        """Send a ping now, with up to 125 bytes; :attr:`latency` changes when its pong is read. Thread-safe.

        :raises TypeError: ``data`` is not bytes-like.
        :raises ValueError: it is too long.
        :raises ConnectionClosed: the connection is gone.
        :raises UnsupportedFeature: over hixie-75 or hixie-76.
        """
        self._open()
        try:
            with self._writing:
                with self._mutex:
                    self._protocol.ping(data)
                self._keepalive.note_ping(bytes(data), self._clock())
                self._write()
        finally:
            if self._left:
                self._flush()

    # Closing

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection: send Close and wait for the peer's, up to the close timeout.

        What comes in meanwhile is dropped; what has come before can still be read. Does nothing on a connection that is
        closed. From another thread than the view's it only sends, and the view's :meth:`wait` finishes the closing.
        Thread-safe. The versions before RFC 6455 carry no code.

        :raises ValueError: a code that may not be sent (RFC 6455 section 7.4), or a reason of over 123 bytes of UTF-8.
        """
        check_close(code, reason)
        transport = self._open()
        self._start_closing(code, reason)
        if transport.current() == self._owner:
            self._finish_closing(transport)
        else:
            reaper.add(self)

    def _start_closing(self, code: int, reason: str) -> None:
        if not self._writing.acquire(timeout=self._close_timeout):
            self._lose("the client does not read")
            return
        try:
            with self._mutex:
                self._begin_close(code, reason)
            self._write()
        except ConnectionClosed:
            pass
        finally:
            self._writing.release()

    def _finish_closing(self, transport: Transport) -> None:
        """Read until the peer's Close, or until it has had its time."""
        if not self._reading.acquire(timeout=self._close_timeout):
            return  # another thread reads, and has not seen it
        try:
            kept = len(self._messages)
            while self._protocol.state is not State.CLOSED:
                self._receive(transport, None)
                while len(self._messages) > kept:
                    self._messages.pop()
        finally:
            self._reading.release()

    def _drain(self, transport: Transport) -> None:
        """Read a failed connection to its end: closing on unread bytes would reset it, and the peer lose our Close."""
        deadline = self._clock() + self._close_timeout
        if not self._reading.acquire(timeout=self._close_timeout):
            return
        try:
            while (left := deadline - self._clock()) > 0 and transport.receive(left):
                pass
        except TimeoutError:
            pass
        finally:
            self._reading.release()

    def end(self, code: int = CloseCode.NORMAL_CLOSURE, *, wait: bool = True) -> None:
        """End the connection with its view: close, shut the socket down, and let go of it. For the middleware.

        ``wait=False`` does not wait for the peer: the process, or the greenlet, is being stopped.
        """
        transport = self._transport
        if transport is None:
            self._protocol.connection_lost()
            self._dismiss_hooks()
            return
        try:
            if not wait:
                self.request_close(code)
                return
            self._start_closing(code, "")
            self._finish_closing(transport)
            if self._protocol.error is not None:
                self._drain(transport)
        finally:
            with self._mutex:
                self._protocol.connection_lost()
            transport.shutdown()
            registry.discard(self)
            self._dismiss_hooks()
            # Threads that still send or read have been woken; once they are out, the server may close the socket.
            for lock in (self._writing, self._reading):
                if lock.acquire(timeout=LEAVING_TIME):
                    lock.release()
