"""The sending half of a connection: frames leave whole and in order, whoever sends them."""

from __future__ import annotations

import logging
import socket
import sys
from abc import abstractmethod
from collections.abc import Iterable
from typing import Final

from ..exceptions import ConnectionClosed, ProtocolError
from ..options import Options
from ..process.flusher import flusher
from ..protocols.base import PeerClose, Protocol, Shared, State, payload_size
from ..protocols.close_codes import CloseCode
from ..transports import TimedOut, Transport, is_interruption
from .backlog import Backlog, Delivery, QueueLimits
from .core import Core
from .reentry import interrupts
from .stats import Cause, cause_of_failure
from .timers import Timers

logger = logging.getLogger("django_websocket.connection")

# The constant saves the look-up of the member in its enumeration, which takes longer than the comparison.
_OPEN: Final = State.OPEN
#: Stands for a number of bytes that were sent, where it was not tried to send any.
_NOT_TRIED: Final = -1
#: Bytes of a backlog that are tried to be sent at once. What is not sent of them counts as a part of a frame that was
#: sent, and not against the limits.
FLUSH_SIZE: Final = 1 << 16
#: Seconds without a read after which :meth:`Sender.send` looks for what has come in.
POLL_INTERVAL: Final = 1.0
#: Bytes that a corked connection collects before it sends them.
MAX_CORKED: Final = 1 << 16
REENTERED: Final = "the call interrupts another call of this WebSocket in the same thread, which it cannot wait for"
#: The methods of a connection that hold the lock for writing.
WRITERS: Final = frozenset(
    {"_send", "_send_rest", "ping", "uncork", "deliver_to_all", "_flush", "_flush_nowait", "_start_closing"}
)


class Sender(Core):
    """What sends on a connection: the view, other threads, groups, and the protocol that answers the peer.

    :class:`.Connection` describes the locks, and adds everything else.
    """

    __slots__ = ("_clock", "_ending", "_mutex", "_name", "_send_timeout", "_timers", "_transport", "_writing")

    def __init__(self, protocol: Protocol, transport: Transport, options: Options, name: str) -> None:
        """Make the sending half; the arguments are those of :class:`.Connection`."""
        self.protocol = protocol
        self.messages = []
        self._fast_path = self._flush_missed = self._corked = self._more = self._is_open = False
        self._whole_limit = -1
        self._waiting = None
        self._unsent = b""
        self._queued = None
        self._requested_close = None
        self.messages_received = self.messages_sent = self.bytes_received = self.bytes_sent = 0
        self._opened_at = self._heard_at = self._polled_at = transport.clock()
        #: How this side has ended the connection: the code of its Close, ``None`` if it has dropped the connection
        #: without one, and the cause. ``None`` while it has not, and if the peer was the first.
        self._ending: tuple[int | None, Cause] | None = None
        self._transport = transport
        self._name = name
        #: Held around calls of the protocol.
        self._mutex = transport.mutex()
        #: Held while writing, so that frames leave whole and in order.
        self._writing = transport.lock()
        self._clock = transport.clock
        self._send_timeout = options.send_timeout
        self._timers = Timers(
            ping_interval=options.ping_interval if protocol.can_ping else None,
            ping_timeout=options.ping_timeout,
            close_timeout=options.close_timeout,
        )

    @abstractmethod
    def poll(self) -> bool:
        """Take the bytes that have arrived, without waiting; return whether this thread could read."""

    @abstractmethod
    def poll_while_sending(self) -> None:
        """Revalidate and read, at intervals, for a view that only sends and never waits for a message."""

    @abstractmethod
    def close_overloaded(self, who: str) -> None:
        """Close with 1013, because ``who``, as the log says, takes the messages of groups too slowly; never wait."""

    def _send(self, message: str | bytes | bytearray | memoryview, compress: bool | None) -> None:
        """Send a message, as :meth:`send` does, waiting while the client does not read.

        :raises ConnectionClosed: the connection is gone, or the client took no byte for the send timeout.
        :raises UnsupportedFeature: binary over a version that has text only.
        :raises RuntimeError: the call interrupts another one that sends, in the same thread.
        """
        if self._clock() - self._polled_at > POLL_INTERVAL:
            self.poll_while_sending()
        writing = self._writing
        # For a native lock the question and acquire() together take less time than acquire(False).
        if writing.locked():
            self._wait_to_write()
        else:
            writing.acquire()
        try:
            # The mutex is not needed: the lock for writing makes this frame leave ahead of any answer that the protocol
            # queues meanwhile.
            data, payload = self.protocol.encode(message, compress)
            if self._corked and self._queued is None and not self._waiting:
                self._collect(data + payload)
            else:
                self._send_bytes(data, payload)
            self._count_sent(1, payload_size(message))
        finally:
            writing.release()
            if self._flush_missed:
                self._flush()

    def _count_sent(self, messages: int, size: int) -> None:
        """Count messages that were sent, or are left to the flusher. Thread-safe."""
        # Between reading and writing an attribute no other thread runs: there is no call, and no loop.
        self.messages_sent += messages
        self.bytes_sent += size

    def _send_rest(self, rest: bytes) -> None:
        """Send the rest of a frame that compiled code has sent in part, under the lock for writing, which it holds.

        :raises ConnectionClosed: the connection is gone.
        """
        self._transmit(rest)

    def cork(self) -> bool:
        """Collect what is sent from now on; return whether it was sent at once until now."""
        with self._mutex:
            was_corked, self._corked = self._corked, True
        return not was_corked

    def uncork(self, *, wait: bool = True) -> None:
        """Send what was collected, and send at once from now on.

        Without ``wait`` nothing waits for the peer: the view is being stopped.
        """
        self._corked = False
        if not wait:
            self._flush_nowait()
            return
        if not self._unsent:
            return
        try:
            if not self._writing.acquire(False):
                self._wait_to_write()
            try:
                self._write_answers()
            finally:
                self._writing.release()
                if self._flush_missed:
                    self._flush()
        except ConnectionClosed:
            pass  # The next message that the view sends raises it again.

    def _collect(self, frame: bytes) -> None:
        """Append a frame to what was collected; the caller holds the lock for writing, and flushes if there is much."""
        with self._mutex:
            data = self._unsent if isinstance(self._unsent, bytearray) else bytearray(self._unsent)
            data += frame
            self._unsent = data
        # The view may have begun to wait, or ended its block, since the caller looked.
        if len(data) >= MAX_CORKED or self._waiting or not self._corked:
            self._flush_missed = True

    def ping(self, data: bytes) -> None:
        """Send a ping with up to 125 bytes. Thread-safe.

        :raises TypeError: ``data`` is not bytes-like.
        :raises ValueError: it is too long.
        :raises ConnectionClosed: the connection is gone.
        :raises UnsupportedFeature: the version has no pings.
        :raises RuntimeError: the call interrupts another one that sends, in the same thread.
        """
        if not self._writing.acquire(False):
            self._wait_to_write()
        try:
            with self._mutex:
                self.protocol.ping(data)
            self._timers.note_ping(bytes(data), self._clock())
            self._write()
        finally:
            self._writing.release()
            if self._flush_missed:
                self._flush()

    def _wait_to_write(self) -> None:
        """Acquire the lock for writing, which another thread holds, and send the answers that were left to that thread.

        That thread could not send them if it passes the lock on, as threads that send without a pause do.

        :raises ConnectionClosed: the connection is gone.
        :raises RuntimeError: the call interrupts another one that sends, in the same thread.
        """
        if interrupts(self, WRITERS):
            raise RuntimeError(REENTERED)
        if not self._acquire_writing(self._send_timeout):
            raise self.protocol.closed_error()
        if self._flush_missed:
            self._flush_missed = False
            try:
                self._write_answers()
            except BaseException:
                self._writing.release()
                raise

    def _acquire_writing(self, timeout: float) -> bool:
        """Acquire the lock for writing once its holder has sent its frame, and return whether it was acquired.

        If the peer takes no byte of that frame for ``timeout`` seconds, abort the connection and return ``False``.
        """
        taken = self._transport.send_progress().taken
        while not self._writing.acquire(timeout=timeout):
            if taken == (taken := self._transport.send_progress().taken):
                self._abort("the client does not read", "send_timeout")
                return False
        return True

    def _has_unsent(self) -> bool:
        """Return whether there is something to send that is not left to the flusher."""
        if self._requested_close is not None:
            return True
        if self._queued is not None:
            return False
        protocol = self.protocol
        return bool(protocol.outgoing or self._unsent) or protocol.eof_to_send

    def _send_bytes(self, data: bytes, payload: bytes = b"") -> None:
        """Send bytes, and ``payload`` behind them; the caller holds the lock for writing.

        :raises ConnectionClosed: the connection is gone.
        """
        if self._unsent or self._queued is not None:
            with self._mutex:
                data = bytes(self._take_unsent()) + data
        self._transmit(data, payload)

    def _transmit(self, data: bytes, payload: bytes = b"") -> None:
        """Send bytes ahead of all that waits, and ``payload`` behind them; the caller holds the lock for writing.

        :raises ConnectionClosed: the connection is gone.
        """
        try:
            self._transport.send(data, self._send_timeout, payload)
        except TimedOut:
            self._abort("the client does not read", "send_timeout")
        except BaseException as error:
            if not isinstance(error, OSError) or is_interruption(error):
                # An exception such as gunicorn's or eventlet's timeout has interrupted a frame: nothing can be sent
                # behind its first part.
                self._abort("interrupted while sending", "error")
                raise
            if self._ending is not None:
                # Our Close was among these bytes, as nothing is sent behind it.
                self._ending = None, "normal"
            # Bytes that the peer sent before it vanished, such as a Close, may still be unread: they are taken first.
            if self.poll():
                self._abort("the client is gone")
            else:
                # Another thread is reading, and finds the end of the stream behind those bytes. The shutdown is needed,
                # as nothing can be sent behind a part of a frame.
                self._transport.shutdown()
        else:
            return
        protocol = self.protocol
        raise ConnectionClosed(
            protocol.close_code or CloseCode.ABNORMAL_CLOSURE, protocol.close_reason, source=protocol
        )

    def _write(self) -> None:
        """Send what the protocol has ready; the caller holds the lock for writing.

        :raises ConnectionClosed: the connection is gone.
        """
        with self._mutex:
            data, eof = self.protocol.data_to_send(), self.protocol.eof_to_send
        if data or self._unsent or self._queued is not None:
            self._send_bytes(data)
        if eof:
            self._end_stream()

    def _write_answers(self) -> None:
        """Send the requested Close and what the protocol has ready; the caller holds the lock for writing.

        :raises ConnectionClosed: the connection is gone.
        """
        with self._mutex:
            self._begin_requested_close()
        self._write()

    def _end_stream(self) -> None:
        self.protocol.eof_to_send = False
        self._transport.shutdown(socket.SHUT_WR)

    def _flush(self) -> None:
        """Send the answers of the protocol. If another thread is writing, that thread sends them afterwards."""
        while self._queued is None and self._has_unsent():
            self._flush_missed = True
            if self._mutex._is_owned() or not self._writing.acquire(blocking=False):  # noqa: SLF001 - see Mutex
                return
            try:
                self._flush_missed = False
                self._write_answers()
            except ConnectionClosed:
                return
            finally:
                self._writing.release()
        # A backlog may have begun while the answers were sent.
        if self._queued is not None:
            self._flush_nowait()

    def _restart_closing(self) -> None:
        """Restart the close timeout if our Close may have been among bytes that were sent late."""
        if self.protocol.state is State.CLOSING:
            self._timers.start_closing(self._clock())

    def _flush_late(self) -> None:
        """Send bytes that could not be sent earlier."""
        if self._has_unsent():
            self._flush()
            self._restart_closing()

    def _flush_nowait(self) -> bool:
        """Send as much as possible of what is to be sent, without waiting for the socket or for a lock.

        What a backlog leaves is left to the flusher. Return whether bytes were sent, or another thread will send them.
        Safe in a signal handler, where the interrupted thread may hold any of the locks.
        """
        progress = False
        while self._queued is not None or self._has_unsent():
            self._flush_missed = True
            if self._mutex._is_owned() or not self._writing.acquire(blocking=False):  # noqa: SLF001 - see Mutex
                return True
            try:
                self._flush_missed = False
                progress = self._send_some() or progress
            finally:
                self._writing.release()
            if not self._flush_missed and (self._unsent or not self._queued):
                break
        if self._queued is not None and self.protocol.state is not State.CLOSED:
            flusher.add(self._transport.fileno(), self._flush_nowait)
        return progress

    def _send_some(self) -> bool:
        """Send what there is room for, and return whether that was anything; the caller holds the lock for writing."""
        with self._mutex:
            self._begin_requested_close()
            data, self._unsent = self._unsent, b""
            had_backlog = self._queued is not None
            if self._queued is not None:
                # The rest stays in the backlog, where it counts, and new frames come behind it.
                data += self._queued.take(FLUSH_SIZE - len(data))
            if not self._queued:
                data += self.protocol.data_to_send()
            data = bytes(data)
        try:
            sent = self._transport.try_send(data) if data else 0
        except BaseException:
            self._drop()
            raise
        with self._mutex:
            if sent is None:
                # The peer is gone, which the thread that reads will find out.
                self._unsent, self._queued = b"", None
                return False
            self._unsent = data[sent:]
            if not self._unsent and not self._queued:
                self._queued = None
        if had_backlog and sent:
            self._restart_closing()
        if not self._unsent and not self._queued and self.protocol.eof_to_send:
            self._end_stream()
        return sent > 0

    def _take_unsent(self) -> bytes | bytearray:
        """Return all bytes that wait for room, and forget them; the caller holds the lock for writing and the mutex."""
        data, self._unsent = self._unsent, b""
        if self._queued is not None:
            data += self._queued.take()
            self._queued = None
        return data

    # Groups

    def deliver(self, frame: Shared, limits: QueueLimits) -> Delivery:
        """Send a frame that :meth:`.Protocol.encode_shared` has made, or queue it within ``limits``; never wait.

        A connection whose backlog is over the limits is closed with 1013. Thread-safe.
        """
        failed = self.deliver_to_all((self,), frame, limits)
        if failed:
            return failed[0][1]
        return Delivery.SENT if self._queued is None else Delivery.QUEUED

    @staticmethod
    def deliver_to_all(
        connections: Iterable[Sender], frame: Shared, limits: QueueLimits
    ) -> list[tuple[Sender, Delivery]]:
        """Deliver a frame to each connection; return those that will get nothing more, with the reason. Thread-safe.

        The loop is the fast path where nothing is compiled: nearly always a socket takes the whole frame.
        """
        data, payload, messages = frame
        size = len(data)
        failed = []
        # interrupts() looks for a variable of this name.
        for self in Core.send_to_all(connections, frame):
            if self._queued is None and self._writing.acquire(False):
                sent: int | None = None
                try:
                    if self.protocol.state is _OPEN and self._requested_close is None:
                        if self._unsent or self._queued is not None:
                            sent = _NOT_TRIED
                        else:
                            sent = self._transport.try_send(data)
                            if sent is not None:
                                self._count_sent(messages, payload)
                                if sent != size:
                                    self._unsent = data[sent:]
                except BaseException:
                    self._drop()
                    raise
                finally:
                    self._writing.release()
                    if self._flush_missed:
                        self._flush_nowait()
                if sent is not None and _NOT_TRIED < sent < size:
                    self._leave_to_flusher()
                if sent is None:
                    failed.append((self, Delivery.GONE))
                if sent != _NOT_TRIED:
                    continue
            delivery = self._queue(frame, limits)
            if delivery <= 0:
                failed.append((self, delivery))
        return failed

    def _leave_to_flusher(self) -> None:
        """Send the rest of a frame that was sent in part, or leave it to the flusher, which waits for room."""
        with self._mutex:
            # Another thread may have queued a frame, or sent the rest, meanwhile.
            if self._unsent and self._queued is None:
                self._queued = Backlog()
        self._flush_nowait()

    def _queue(self, frame: Shared, limits: QueueLimits) -> Delivery:
        """Queue a frame behind others, or behind the thread that is writing, for :meth:`deliver`."""
        with self._mutex:
            if self.protocol.state is not _OPEN or self._requested_close is not None:
                return Delivery.GONE
            is_first = self._queued is None
            if self._queued is None:
                self._queued = Backlog()
            fits = self._queued.append(frame.data, limits)
            if fits:
                self._count_sent(frame.messages, frame.size)
        if not fits:
            self.close_overloaded("the client")
            return Delivery.OVERFLOW
        if is_first:
            self._flush_nowait()
        return Delivery.QUEUED

    # Closing

    def _begin_requested_close(self) -> None:
        """Begin the closing that was requested, if there is one; the caller holds the mutex."""
        if self._requested_close is not None:
            self._begin_close(*self._requested_close)
            self._requested_close = None

    def _begin_close(self, code: int, reason: str, cause: Cause) -> None:
        """Make the protocol begin its closing handshake; the caller holds the mutex."""
        self._suspend_core()
        # If a Close or an error of the peer was deferred, the Close answers it instead.
        self.protocol.finish_deferred()
        if self.protocol.state is State.OPEN:
            self._fast_path = False
            self._timers.start_closing(self._clock())
            self._ending = code, cause
            self.protocol.close(code, reason)
        self._follow_protocol()

    def _suspend_core(self) -> None:
        """Leave everything to the code in Python, until :meth:`_follow_protocol` is called.

        Whoever changes the state of the protocol calls both. If an exception of a signal handler comes in between,
        compiled code does not go by the old state.
        """
        self._is_open, self._whole_limit = False, -1

    def _follow_protocol(self) -> None:
        """Note what the protocol allows from now on, for compiled code."""
        protocol = self.protocol
        self._is_open = protocol.state is _OPEN
        self._whole_limit = min(protocol.whole_limit, sys.maxsize)

    def _abort(self, reason: str, cause: Cause = "normal", level: int = logging.INFO) -> None:
        """Drop the connection without a Close; the close code is 1006 then."""
        # A peer that has sent its Close and left did not vanish.
        left = isinstance(self.protocol.deferred_end, PeerClose)
        if self._drop(cause) and not left:
            self._log(level, f"lost: {reason}")

    def _drop(self, cause: Cause = "error") -> bool:
        """Drop the connection without a Close and without a word; return whether it was not closed before.

        An exception of a signal handler may come just before or just after a system call that sends. Nobody knows what
        was sent then, and nothing can be sent behind it.
        """
        protocol = self.protocol
        with self._mutex:
            self._fast_path = False
            was_open = protocol.state is not State.CLOSED
            if was_open:
                if isinstance(protocol.deferred_end, ProtocolError):
                    # The peer has broken the protocol before it went.
                    cause = cause_of_failure(protocol.deferred_end.code)
                self._ending = self._ending or (None, cause)
                self._suspend_core()
                protocol.connection_lost()
                self._follow_protocol()
                self._unsent, self._queued = b"", None
        self._transport.shutdown()
        return was_open

    def _log(self, level: int, text: str) -> None:
        logger.log(level, "WebSocket %s %s", self._name, text)
