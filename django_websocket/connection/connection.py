"""An open connection: a protocol over a transport, driven by the threads that call."""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Sequence
from typing import Final

from ..exceptions import ConnectionClosed, PolicyViolation
from ..options import Options
from ..process.closer import closer
from ..process.registry import registry
from ..protocols.base import CloseCode, Message, Protocol, State
from ..transports import Transport, is_timeout
from .hooks import NO_HOOKS, Hooks
from .rate_limit import RateLimit
from .timers import Timers

logger = logging.getLogger("django_websocket.connection")

# Looking the member up in its class costs more than the rest of the comparison.
_OPEN: Final = State.OPEN

#: Seconds without bytes after which a read that waits for nothing else looks for something else to do. It is long, as
#: each look needs the interpreter's lock, for which thousands of threads would queue. It stays below 16 seconds, from
#: which on Linux rounds a socket's timeout to two seconds and more: all connections that have fallen silent within them
#: would wake at once.
TICK: Final = 15.0
#: Seconds that a read waits at most before it looks whether another thread, or a signal handler, wants to close.
MAX_WAIT: Final = 20.0
#: Bytes read at once where compression was agreed on: each of them can inflate to a thousand.
COMPRESSED_READ_SIZE: Final = 4096
#: Control frames that a peer may send a second, and how many more at once: each costs an answer, or time.
CONTROL_RATE: Final = 100
CONTROL_BURST: Final = 200
#: The close code for a peer that may not stay: HTTP's 401, in the range for applications (RFC 6455 section 7.4.2).
UNAUTHORIZED: Final = 4401
#: Seconds without a read after which :meth:`Connection.send` looks for what has come in.
POLL_INTERVAL: Final = 1.0
#: Seconds that :meth:`Connection.end` waits for each of the other threads that still send or read, once they are woken.
LEAVING_TIME: Final = 1.0


class Connection:
    """An open protocol over an open transport, from the answer to its handshake to its end.

    Reading, writing and calls of the protocol have a lock each, taken in this order. The mutex around calls of the
    protocol is held for moments, never over a read or a write; only :meth:`Protocol.encode` is called without it, under
    the lock for writing.

    What is read changes the protocol, and may leave it with something to say: a pong or a Close. It is sent by the
    thread that has read its cause, or by the thread that is writing at the moment: :meth:`_flush` waits for the socket,
    :meth:`_flush_nowait` does not.

    A peer that breaks the protocol is told so when the view asks for a message and none is left: the view has answered
    then what came ahead of the mistake. It may take the close timeout until then, and nothing is read meanwhile.
    """

    # A dictionary for this many attributes would be slower, and larger.
    __slots__ = (
        "_backlog",
        "_clock",
        "_close_timeout",
        "_control_frames",
        "_flush_missed",
        "_hooks",
        "_mutex",
        "_name",
        "_only_waiting",
        "_owner",
        "_polled_at",
        "_reading",
        "_requested_close",
        "_resources",
        "_send_timeout",
        "_timers",
        "_transport",
        "_unsent",
        "_waiting",
        "_writing",
        "messages",
        "protocol",
    )

    def __init__(
        self, protocol: Protocol, transport: Transport, options: Options, hooks: Hooks = NO_HOOKS, name: str = ""
    ) -> None:
        """Make the connection of an answered handshake, in the thread of its view; ``name`` names it in the log."""
        self.protocol = protocol
        #: Messages that were read and not asked for yet.
        self.messages: deque[Message] = deque()
        self._transport = transport
        self._name = name
        self._hooks = hooks
        self._resources: Sequence[object] = hooks.resources
        #: Held around calls of the protocol.
        self._mutex = transport.mutex()
        #: Held while writing, so that frames leave whole and in order.
        self._writing = transport.lock()
        #: Held while reading.
        self._reading = transport.lock()
        #: The thread or greenlet of the view.
        self._owner = transport.current()
        self._clock = transport.clock
        self._send_timeout = options.send_timeout
        self._close_timeout = options.close_timeout
        now = transport.clock()
        self._timers = Timers(
            now,
            ping_interval=options.ping_interval if protocol.can_ping else None,
            ping_timeout=options.ping_timeout,
            close_timeout=options.close_timeout,
        )
        self._timers.plan_revalidation(now, hooks.revalidate_interval)
        self._control_frames = RateLimit(CONTROL_RATE, CONTROL_BURST)
        #: Whether a reader has nothing to do but to wait for bytes.
        self._only_waiting = False
        #: Whether a thread waits for messages.
        self._waiting = False
        #: The rest of a frame that could not be sent at once.
        self._unsent = b""
        #: Whether a flush found another thread writing: that thread flushes when it is done.
        self._flush_missed = False
        #: The code and reason of a Close that is to be sent.
        self._requested_close: tuple[int, str] | None = None
        #: When bytes were last looked for without waiting, and how many were read so since the queue was empty.
        self._polled_at = now
        self._backlog = 0

    def start(self, received: bytes, handshake_timeout: float) -> None:
        """Send the answer to the handshake, read the rest of a handshake that has more than a request, and register.

        ``received`` are the bytes that the server has read behind the request. The rest of the handshake, hixie-76's
        eight bytes, has to come within ``handshake_timeout`` seconds; the connection is closed otherwise.
        """
        # The answer goes out before anything is read: some proxies hold the rest of an old handshake back until then.
        self._flush()
        if received:
            self._take_and_answer(received)
        deadline = self._clock() + handshake_timeout
        while self.protocol.state is State.CONNECTING:
            try:
                self._take_and_answer(self._transport.receive(max(0.0, deadline - self._clock())))
            except TimeoutError:
                self._abort("the rest of the handshake did not come in time", logging.WARNING)
        self.protocol.forget_request()
        if self.protocol.inflates:
            self._transport.read_size = COMPRESSED_READ_SIZE
        self._only_waiting = self._is_undisturbed()
        registry.add(self)

    @property
    def latency(self) -> float | None:
        """Seconds between the last answered ping and its pong; ``None`` before the first."""
        return self._timers.latency

    # Receiving

    def fetch(self, timeout: float | None) -> bool:
        """Wait until there is a message, and return whether there is one: ``False`` once none will come.

        ``timeout`` is in seconds, ``None`` is no limit. One thread at a time.

        While there is nothing to do but to wait for bytes, as there nearly always is, the loop here does little else.

        :raises TimeoutError: no message came in time.
        :raises RuntimeError: another thread is waiting.
        """
        if timeout is None and self._only_waiting and not self._resources and self._reading.acquire(False):
            transport, protocol, messages, timers = self._transport, self.protocol, self.messages, self._timers
            self._waiting = True
            try:
                while not messages and self._only_waiting:
                    data = transport.receive()
                    position = protocol.take_whole_messages(data, messages)
                    if position != len(data) or not data:
                        self._take_and_answer(data[position:])
                    now = timers.heard = self._clock()
                    if now >= timers.revalidate_at:
                        self._only_waiting = False
            except TimeoutError:
                self._only_waiting = False
            finally:
                self._waiting = False
                self._reading.release()
            if messages:
                return True
        return self._fetch_with_timers(timeout)

    def _fetch_with_timers(self, timeout: float | None) -> bool:
        """Wait for a message as :meth:`fetch` does, and do meanwhile whatever else is due."""
        deadline = None if timeout is None else self._clock() + timeout
        if not self._reading.acquire(False):
            if self._waiting:
                raise RuntimeError("another thread is waiting for this WebSocket's messages")
            # A thread that sends is looking for what has come, which takes no time.
            self._reading.acquire()
        self._waiting = True
        try:
            while not self.messages:
                if self.protocol.state is State.CLOSED:
                    return False
                self._read(deadline)
                if deadline is not None and not self.messages and self._clock() >= deadline:
                    raise TimeoutError("no message came in time")
        finally:
            self._waiting = False
            self._reading.release()
        return True

    def _read(self, deadline: float | None) -> None:
        """Wait for bytes until ``deadline``, or until something else is due, and do that.

        The caller holds the lock for reading.
        """
        protocol, timers = self.protocol, self._timers
        if protocol.deferred_error is not None:
            # The view has taken all messages that came ahead of the mistake.
            self._fail()
            self._flush()
            return
        self._backlog = 0
        idle_after = self._hooks.before_wait() if self._resources else None
        self._flush_late()
        seconds = timers.time_left(
            self._clock(),
            deadline=deadline,
            idle_after=idle_after,
            closing=protocol.state is State.CLOSING,
            at_most=MAX_WAIT,
        )
        try:
            self._take_and_answer(self._transport.receive(seconds))
        except TimeoutError:
            self._only_waiting = False
            now = self._clock()
            if idle_after is not None and timers.is_idle(now, idle_after):
                timers.note_idle(now)
                self._hooks.on_idle()
        self._flush_late()
        self._keep_time()
        self._flush()
        if self._clock() >= timers.revalidate_at:
            self._revalidate()

    def poll(self, *, asked: bool = False) -> bool:
        """Take what has come, without waiting, while less than one read's worth is queued.

        ``asked`` tells that the view asks for messages. Return whether anything could be looked for: not while another
        thread reads. Thread-safe.
        """
        if not self._reading.acquire(blocking=False):
            return False
        protocol = self.protocol
        try:
            if not self.messages:
                self._backlog = 0
            self._polled_at = self._clock()
            room = self._backlog < self._transport.read_size
            if room and protocol.state is not State.CLOSED and protocol.deferred_error is None:
                data = self._transport.try_receive()
                if data is None:
                    if self._has_unsent():
                        self._flush_nowait()
                        self._timers.start_closing(self._clock())
                    self._keep_time()
                    self._flush_nowait()
                else:
                    self._backlog += len(data)
                    self._take(data)
                    self._flush_nowait()
                    self._only_waiting = self._is_undisturbed()
            if protocol.deferred_error is not None and (
                self._timers.is_close_overdue(self._clock()) or (asked and not self.messages)
            ):
                self._fail()
                self._flush_nowait()
        finally:
            self._reading.release()
        return True

    def _take_and_answer(self, data: bytes) -> None:
        """Take bytes that came in, and send what the protocol answers."""
        self._take(data)
        self._flush()
        self._only_waiting = self._is_undisturbed()

    def _take(self, data: bytes) -> None:
        """Take bytes that came in: messages are queued, and everything else is handled. Send nothing."""
        now = self._timers.heard = self._clock()
        with self._mutex:
            self.messages.extend(self.protocol.receive(data))
        self._timers.pinged = None
        if self.protocol.has_events:
            self._handle_events(now)

    def _handle_events(self, now: float) -> None:
        """Handle what has come in besides messages: control frames, the peer's mistake, the end."""
        protocol, timers = self.protocol, self._timers
        protocol.has_events = False
        if protocol.control_frames:
            frames, protocol.control_frames = protocol.control_frames, 0
            if not self._control_frames.take(frames, now, caught_up=not self._transport.more):
                with self._mutex:
                    protocol.fail(PolicyViolation("too many control frames"))
        if protocol.pong is not None:
            pong, protocol.pong = protocol.pong, None
            timers.note_pong(pong, now)
        if protocol.deferred_error is not None:
            timers.start_closing(now)
            self._log(logging.WARNING, f"failed with {protocol.deferred_error.code}: {protocol.deferred_error}")
        elif protocol.error is not None:
            self._log(logging.WARNING, f"failed with {protocol.close_code}: {protocol.error}")

    def _is_undisturbed(self) -> bool:
        """Return whether a reader has nothing to do but to wait for bytes."""
        protocol = self.protocol
        return protocol.state is _OPEN and protocol.deferred_error is None and not self._has_unsent()

    def _fail(self) -> None:
        """Fail the connection for the mistake that was deferred (RFC 6455 section 7.1.7). Send nothing."""
        with self._mutex:
            self.protocol.fail()

    # Time

    def _keep_time(self) -> None:
        """Ping a silent peer, or abort the connection of one that gives no sign of life or no answer to Close."""
        timers, now = self._timers, self._clock()
        if self.protocol.state is State.CLOSING:
            if timers.is_close_overdue(now):
                self._abort("the peer did not answer Close")
        elif (due := timers.ping_due) is not None and now >= due:
            if timers.pinged is not None:
                self._abort("no sign of life after a ping")
                return
            self._only_waiting = False
            data = timers.make_ping(now)
            with self._mutex:
                if self.protocol.state is State.OPEN:
                    self.protocol.ping(data)

    def _revalidate(self) -> None:
        """Ask the hooks whether the peer may stay, and close if not; messages that come meanwhile are dropped.

        The caller holds the lock for reading.
        """
        reason = self._hooks.revalidate() if self.protocol.state is State.OPEN else None
        self._timers.plan_revalidation(self._clock(), self._hooks.revalidate_interval)
        if reason is None:
            return
        self._log(logging.INFO, f"closed with {UNAUTHORIZED}: {reason}")
        self._requested_close = UNAUTHORIZED, reason
        self._flush()
        while self.protocol.state is not State.CLOSED:
            self._read(None)
        self.messages.clear()

    # Sending

    def send(self, message: str | bytes | bytearray | memoryview, compress: bool | None = None) -> None:
        """Send a message, waiting while the client does not read; ``compress`` as for :meth:`Protocol.encode`.

        Thread-safe.

        :raises ConnectionClosed: the connection is gone, or the client accepted nothing for the send timeout.
        :raises UnsupportedFeature: binary over a version that has text only.
        """
        if self._clock() - self._polled_at > POLL_INTERVAL:
            self._poll_while_sending()
        writing = self._writing
        writing.acquire()
        try:
            # Without the mutex: whatever else the protocol is told meanwhile, this goes out ahead of its answer.
            data, payload = self.protocol.encode(message, compress)
            self._put(data, payload)
        finally:
            writing.release()
            if self._flush_missed:
                self._flush()

    def _poll_while_sending(self) -> None:
        """Do, once in a while, what a view that only sends would miss: revalidate, and take what has come."""
        timers, now = self._timers, self._clock()
        if now >= timers.revalidate_at and self._transport.current() == self._owner and self._reading.acquire(False):
            # If the lock is held, a thread is reading, and revalidates.
            try:
                self._revalidate()
            finally:
                self._reading.release()
        self._polled_at = max(self._polled_at, timers.heard)
        if now - self._polled_at > POLL_INTERVAL:
            self.poll()

    def ping(self, data: bytes) -> None:
        """Send a ping with up to 125 bytes. Thread-safe.

        :raises TypeError: ``data`` is not bytes-like.
        :raises ValueError: it is too long.
        :raises ConnectionClosed: the connection is gone.
        :raises UnsupportedFeature: the version has no pings.
        """
        try:
            with self._writing:
                with self._mutex:
                    self.protocol.ping(data)
                self._timers.note_ping(bytes(data), self._clock())
                self._write()
        finally:
            if self._flush_missed:
                self._flush()

    def _has_unsent(self) -> bool:
        protocol = self.protocol
        return bool(protocol.outgoing or self._unsent) or self._requested_close is not None or protocol.eof_to_send

    def _put(self, data: bytes, payload: bytes = b"") -> None:
        """Send bytes, and ``payload`` behind them; the caller holds the lock for writing.

        :raises ConnectionClosed: the connection is gone.
        """
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
        try:
            self._transport.send(data, self._send_timeout, payload)
        except OSError as error:
            if is_timeout(error):
                self._abort("the client does not read")
            # What the peer sent before it went, a Close perhaps, may still be there to be read.
            elif self.poll():
                self._abort("the client is gone")
            else:
                # The thread that reads finds the end behind that; and nothing can follow a part of a frame.
                self._transport.shutdown()
        except BaseException:
            # A timeout of the worker's or of eventlet's has interrupted a frame: nothing can follow its first part.
            self._abort("interrupted while sending")
            raise
        else:
            return
        raise ConnectionClosed(self.protocol.close_code or CloseCode.ABNORMAL_CLOSURE, self.protocol.close_reason)

    def _write(self) -> None:
        """Send what the protocol has ready; the caller holds the lock for writing.

        :raises ConnectionClosed: the connection is gone.
        """
        with self._mutex:
            data, eof = self.protocol.data_to_send(), self.protocol.eof_to_send
        if data or self._unsent:
            self._put(data)
        if eof:
            self._end_stream()

    def _end_stream(self) -> None:
        self.protocol.eof_to_send = False
        self._transport.shutdown(socket.SHUT_WR)

    def _flush(self) -> None:
        """Send what the protocol says by itself. If a thread is writing, that one sends it when it is done."""
        while self._has_unsent():
            self._flush_missed = True
            if not self._writing.acquire(blocking=False):
                return
            self._flush_missed = False
            try:
                with self._mutex:
                    self._begin_requested_close()
                self._write()
            except ConnectionClosed:
                return
            finally:
                self._writing.release()

    def _flush_late(self) -> None:
        """Send what could not be sent at its time; the answer to a Close among it is expected from now on."""
        if self._has_unsent():
            self._flush()
            self._timers.start_closing(self._clock())

    def _flush_nowait(self) -> None:
        """Send what can be sent at once of what the protocol says by itself. Wait for nothing.

        Safe in a signal handler: the thread that it has interrupted may hold any of the locks.
        """
        if not self._has_unsent():
            return
        self._flush_missed = True
        if not self._writing.acquire(blocking=False):
            return
        self._flush_missed = False
        try:
            if not self._mutex.acquire(blocking=False):
                return
            try:
                self._begin_requested_close()
                data = self._unsent + self.protocol.data_to_send()
            finally:
                self._mutex.release()
            self._unsent = data[self._transport.try_send(data) :] if data else b""
            if not self._unsent and self.protocol.eof_to_send:
                self._end_stream()
        finally:
            self._writing.release()

    # Closing

    def close(self, code: int, reason: str) -> None:
        """Send Close. In the view's thread, wait for the peer's, up to the close timeout, and drop what comes before.

        Do nothing on a connection that is closed. Thread-safe.
        """
        self._start_closing(code, reason)
        if self._transport.current() == self._owner:
            self._finish_closing()
        else:
            closer.add(self.finish_if_due)

    def request_close(self, code: int) -> None:
        """Send Close without waiting for anything. Safe in a signal handler.

        If a thread is writing at the moment, or the socket cannot be written to at once, the Close leaves a little
        later.
        """
        if self.protocol.state is not State.OPEN:
            return
        self._requested_close = code, ""
        self._only_waiting = False
        self._flush_nowait()
        closer.add(self.finish_if_due)

    def finish_if_due(self) -> bool:
        """Go on with a closing that no thread may be waiting for; return whether nothing is left to do.

        Called by the closer, in a native thread: neither waits nor logs, as no lock of a greenlet may be waited for
        there.
        """
        if self.protocol.state is State.CLOSED:
            return True
        self._flush_nowait()
        # There is no deadline while a thread is writing, which has its own timeout: the Close leaves when it is done.
        if not self._timers.is_close_overdue(self._clock()):
            return False
        # Threads that read or write wake up, and find the end of the stream.
        self._transport.shutdown()
        return True

    def end(self, code: int, *, wait: bool) -> None:
        """Close, shut the socket down and let go of everything, in the thread of the view that has ended.

        Without ``wait`` nothing waits for the peer: the process, or the greenlet, is being stopped.
        """
        try:
            if not wait:
                self.request_close(code)
                return
            self._start_closing(code, "")
            self._finish_closing()
            if self.protocol.error is not None:
                self._drain()
        finally:
            with self._mutex:
                self.protocol.connection_lost()
            self._transport.shutdown()
            registry.discard(self)
            # The hooks refer to the request, which refers to this connection: a cycle, for the garbage collector only.
            self._hooks = NO_HOOKS
            # Threads that still send or read have been woken. Once they are out, the server may close the socket.
            for lock in (self._writing, self._reading):
                if lock.acquire(timeout=LEAVING_TIME):
                    lock.release()

    def _start_closing(self, code: int, reason: str) -> None:
        """Send Close, once the thread that is writing at the moment is done."""
        if not self._writing.acquire(timeout=self._close_timeout):
            self._abort("the client does not read")
            return
        try:
            with self._mutex:
                self._begin_close(code, reason)
            self._write()
        except ConnectionClosed:
            pass
        finally:
            self._writing.release()

    def _finish_closing(self) -> None:
        """Read until the peer's Close has come, or its time is over; drop the messages that come before it."""
        if not self._reading.acquire(timeout=self._close_timeout):
            return  # another thread is reading, and has not noticed
        try:
            kept = len(self.messages)
            while self.protocol.state is not State.CLOSED:
                self._read(None)
                while len(self.messages) > kept:
                    self.messages.pop()
        finally:
            self._reading.release()

    def _drain(self) -> None:
        """Read a failed connection to its end.

        To close a socket with unread bytes resets the connection, and the peer would lose our Close.
        """
        deadline = self._clock() + self._close_timeout
        if not self._reading.acquire(timeout=self._close_timeout):
            return
        try:
            while (left := deadline - self._clock()) > 0 and self._transport.receive(left):
                pass
        except TimeoutError:
            pass
        finally:
            self._reading.release()

    def _begin_requested_close(self) -> None:
        """Begin the closing that was requested, if there is one; the caller holds the mutex."""
        if self._requested_close is not None:
            code, reason = self._requested_close
            self._begin_close(code, reason)
            self._requested_close = None

    def _begin_close(self, code: int, reason: str) -> None:
        """Make the protocol begin its closing handshake; the caller holds the mutex."""
        # If the peer has made a mistake that was deferred, the Close is for that.
        self.protocol.fail()
        if self.protocol.state is State.OPEN:
            self._only_waiting = False
            self._timers.start_closing(self._clock())
            self.protocol.close(code, reason)

    def _abort(self, reason: str, level: int = logging.INFO) -> None:
        """Drop the connection without a Close; the close code is 1006 then."""
        with self._mutex:
            self._only_waiting = False
            if lost := self.protocol.state is not State.CLOSED:
                self.protocol.connection_lost()
                self._unsent = b""
        self._transport.shutdown()
        if lost:
            self._log(level, f"lost: {reason}")

    def _log(self, level: int, text: str) -> None:
        logger.log(level, "WebSocket %s %s", self._name, text)
