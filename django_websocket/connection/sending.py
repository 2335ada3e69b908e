"""The sending side of a connection: bytes leave whole and in order, whoever sends them."""

from __future__ import annotations

import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable

from ..exceptions import ConnectionClosed
from ..process.closer import reaper
from ..protocols.base import CloseCode, Protocol, State
from ..transports import Lock, Transport, is_timeout

logger = logging.getLogger("django_websocket.connection")


class Sender(ABC):
    """What a connection sends, and how it begins to close.

    Of the protocol's calls one runs at a time, under a mutex that is never held over a read or a write, but for
    :meth:`Protocol.encode`. One thread may write. What the protocol says by itself, a pong or a Close, is sent by
    whoever has read its cause, or by the thread that is writing at the moment.
    """

    __slots__ = (
        "_calm",
        "_clock",
        "_close_deadline",
        "_close_timeout",
        "_left",
        "_mutex",
        "_name",
        "_protocol",
        "_remainder",
        "_requested",
        "_send_timeout",
        "_transport",
        "_writing",
    )

    def __init__(self, protocol: Protocol, *, name: str, send_timeout: float, close_timeout: float) -> None:
        """Make the sending side of a connection that is not open yet."""
        self._protocol = protocol
        self._name = name
        self._send_timeout = send_timeout
        self._close_timeout = close_timeout
        self._transport: Transport | None = None
        self._clock: Callable[[], float]
        #: Held around calls of the protocol, which wait for nothing; never while reading or writing.
        self._mutex: Lock
        #: Held while writing, so that frames leave whole and in order.
        self._writing: Lock
        #: Whether there is nothing to do for a reader but to wait for bytes.
        self._calm = False
        #: What is left of a frame that could not be sent at once.
        self._remainder = b""
        #: Whether something to send was left to the thread that was writing.
        self._left = False
        #: When the peer's time to answer Close is over; or a view's, to answer what came ahead of a mistake.
        self._close_deadline: float | None = None
        #: The code and reason of a Close that is to be sent.
        self._requested: tuple[int, str] | None = None

    @abstractmethod
    def _look(self, transport: Transport, *, asked: bool = False) -> bool:
        """Take what has come, without waiting; gives whether it could look."""

    @property
    def _has_unsent(self) -> bool:
        protocol = self._protocol
        return bool(protocol.outgoing or self._remainder) or self._requested is not None or protocol.eof_to_send

    def _write(self) -> None:
        """Send what the protocol has ready; the caller holds the lock for writing.

        :raises ConnectionClosed: the connection is gone.
        """
        with self._mutex:
            data, eof = self._protocol.data_to_send(), self._protocol.eof_to_send
        if data or self._remainder:
            self._put(data)
        if eof:
            self._end_stream()

    def _put(self, data: bytes, payload: bytes = b"") -> None:
        """Send bytes, and ``payload`` behind them; the caller holds the lock for writing.

        :raises ConnectionClosed: the connection is gone.
        """
        assert self._transport is not None
        if self._remainder:
            data, self._remainder = self._remainder + data, b""
        try:
            self._transport.send(data, self._send_timeout, payload)
        except OSError as error:
            if is_timeout(error):
                self._lose("the client does not read")
            # What it said before it went, a Close perhaps, may still be there: for us, or for the thread that reads.
            elif self._look(self._transport):
                self._lose("the client is gone")
            else:
                # Behind that the one who reads finds the end; and nothing can follow a part of a frame.
                self._transport.shutdown()
        except BaseException:
            # Interrupted in the midst of a frame, by a worker's or eventlet's timeout: nothing can follow it.
            self._lose("interrupted while sending")
            raise
        else:
            return
        raise ConnectionClosed(self._protocol.close_code or CloseCode.ABNORMAL_CLOSURE, self._protocol.close_reason)

    def _end_stream(self) -> None:
        assert self._transport is not None
        self._protocol.eof_to_send = False
        self._transport.shutdown(socket.SHUT_WR)

    def _flush(self, *, wait: bool = True) -> None:
        """Send what the protocol says by itself. A thread that is sending does it, when it is done, if there is one."""
        if not wait:
            self._flush_now()
            return
        while self._has_unsent:
            self._left = True
            if not self._writing.acquire(blocking=False):
                return
            self._left = False
            try:
                with self._mutex:
                    self._obey()
                self._write()
            except ConnectionClosed:
                return
            finally:
                self._writing.release()

    def _flush_late(self, *, wait: bool = True) -> None:
        """Send what could not be sent at its time; a Close among it gets its answer's time from now on."""
        if self._has_unsent:
            self._flush(wait=wait)
            self._close_deadline = self._clock() + self._close_timeout

    def _flush_now(self) -> None:
        """Send what can be sent of what the protocol says by itself, without waiting for anything.

        Safe in a signal handler: the thread that it has interrupted may hold any of the locks.
        """
        self._left = True
        if not self._writing.acquire(blocking=False):
            return
        self._left = False
        try:
            if not self._mutex.acquire(blocking=False):
                return
            try:
                self._obey()
                data = self._remainder + self._protocol.data_to_send()
            finally:
                self._mutex.release()
            assert self._transport is not None
            self._remainder = data[self._transport.try_send(data) :] if data else b""
            if not self._remainder and self._protocol.eof_to_send:
                self._end_stream()
        finally:
            self._writing.release()

    # Closing

    def request_close(self, code: int) -> None:
        """Send Close without waiting for anything, for a signal handler.

        If a thread is sending at the moment, or the socket cannot be written to at once, the Close leaves a little
        later.
        """
        if self._transport is None or self._protocol.state is not State.OPEN:
            return
        self._requested = code, ""
        self._calm = False
        self._flush_now()
        reaper.add(self)

    def hurry(self) -> bool:
        """Get on with a closing that nobody may be waiting for; gives whether nothing is left to do. For the reaper.

        Never waits, and does not log: where it runs no lock of a greenlet may be waited for.
        """
        if self._protocol.state is State.CLOSED or self._transport is None:
            return True
        if self._has_unsent:
            self._flush_now()
        # None where a thread is sending, which has its own timeout: the Close leaves behind what it sends.
        if self._close_deadline is None or self._clock() < self._close_deadline:
            return False
        # Wakes whoever reads or writes, to find the end of the stream.
        self._transport.shutdown()
        return True

    def _obey(self) -> None:
        """Begin the closing that was requested; the caller holds the mutex."""
        if self._requested is not None:
            self._begin_close(*self._requested)
            self._requested = None

    def _begin_close(self, code: int, reason: str) -> None:
        # The peer's own mistake comes first.
        self._protocol.fail()
        if self._protocol.state is State.OPEN:
            self._calm = False
            self._close_deadline = self._clock() + self._close_timeout
            self._protocol.close(code, reason)

    def _is_late(self) -> bool:
        """Tell whether the time that a closing has is over."""
        return self._close_deadline is not None and self._clock() >= self._close_deadline

    def _lose(self, reason: str, level: int = logging.INFO) -> None:
        """Give the connection up."""
        with self._mutex:
            self._calm = False
            if lost := self._protocol.state is not State.CLOSED:
                self._protocol.connection_lost()
                self._remainder = b""
        if self._transport is not None:
            self._transport.shutdown()
        if lost:
            self._log(level, f"lost: {reason}")

    def _log(self, level: int, text: str) -> None:
        logger.log(level, "WebSocket %s %s", self._name, text)
