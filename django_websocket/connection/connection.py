"""An open connection: a protocol over a transport, driven by the threads that call its methods."""

from __future__ import annotations

import logging
import math
from typing import Final

from ..exceptions import ConnectionClosed, PolicyViolation, ProtocolError
from ..options import Options
from ..process.closer import closer
from ..process.flusher import flusher
from ..process.registry import registry
from ..protocols.base import CloseCode, Message, Protocol, State, payload_size
from ..transports import Bell, TimedOut, Transport
from .hooks import NO_HOOKS, Hooks, Peer
from .rate_limit import RateLimit
from .reentry import interrupts
from .sending import POLL_INTERVAL, REENTERED, WRITERS, Sender
from .stats import Cause, ConnectionStats, find_end, is_fault

#: The timeout in seconds of a read on the fast path, after which the other deadlines are checked. It is long because
#: each timeout needs the interpreter's lock, for which thousands of threads would queue. It stays below 16 seconds
#: because Linux rounds longer socket timeouts to two seconds and more: all connections that fell silent within such a
#: step would wake at once.
READ_TIMEOUT: Final = 15.0
#: The longest time in seconds of one read, after which the thread checks whether another thread or a signal handler has
#: requested a close.
MAX_READ_TIME: Final = 20.0
#: Bytes read at once where compression was agreed on: each of them can inflate to a thousand.
COMPRESSED_READ_SIZE: Final = 4096
#: The rate per second and the burst of the control frames that a peer may send (see :class:`RateLimit`): each takes an
#: answer, or time.
CONTROL_RATE: Final = 100
CONTROL_BURST: Final = 200
#: The close code after a failed revalidation: HTTP's 401 moved into the range 4000 to 4999 for private use (RFC 6455
#: section 7.4.2).
UNAUTHORIZED: Final = 4401
_TWO_READERS: Final = "another thread is waiting for this WebSocket's messages"
_NO_MESSAGE: Final = "no message came in time"
#: The methods of a connection that hold the lock for reading.
_READERS: Final = frozenset(
    {
        "_drain",
        "_fetch_with_timers",
        "_finish_closing",
        "_give_back",
        "_take_handed_over",
        "fetch",
        "fetch_unless_rung",
        "poll",
        "poll_while_sending",
    }
)
#: Seconds that :meth:`Connection.end` waits for each lock that another thread still holds after the shutdown. Whoever
#: waits for a thread that reads waits for it this much longer than the close timeout, after which that thread is woken.
LEAVE_TIMEOUT: Final = 1.0


class Connection(Sender):
    """An open protocol over an open transport, from the answer to its handshake to its end.

    There is a lock for reading, a lock for writing and a mutex for calls of the protocol, acquired in this order. The
    mutex is never held during a read or a write. :meth:`Protocol.encode` is called without the mutex, under the lock
    for writing; :meth:`Protocol.take_whole_messages` without it, under the lock for reading.

    A signal handler or a finalizer may interrupt any call and make another one in the same thread. The mutex is
    re-entrant. A lock that is not free is never waited for if the interrupted call may hold it, and otherwise only for
    a limited time, because an exception of a signal handler may come between an acquisition and its ``try``.

    Bytes that were read may make the protocol answer, with a pong or a Close. The answer is sent by the thread that
    read those bytes, or by the thread that is writing at the moment: :meth:`_flush` waits for the socket,
    :meth:`_flush_nowait` does not.

    Groups deliver frames that may have to wait for room: then there is a backlog. While there is one, the flusher of
    the process, or a thread that sends, takes care of all that is to be sent, and no other thread waits for it.

    The peer's Close is answered only when the view has taken the messages ahead of it and asks for another one, so that
    the view can answer each message (RFC 6455 section 5.5.1). If the peer breaks the protocol, the connection is failed
    at that moment, and not before. The view has the close timeout for the messages, and nothing is read meanwhile.

    :class:`.Core` takes and sends whole messages by itself, where it is compiled, and under the same locks.
    """

    __slots__ = (
        "_close_timeout",
        "_control_frames",
        "_hooks",
        "_overloaded",
        "_owner",
        "_polled_size",
        "_reading",
    )

    def __init__(
        self, protocol: Protocol, transport: Transport, options: Options, hooks: Hooks = NO_HOOKS, name: str = ""
    ) -> None:
        """Make the connection of an answered handshake, in the thread of its view; ``name`` names it in the log."""
        super().__init__(protocol, transport, options, name)
        self._hooks = hooks
        self._resources = hooks.resources
        #: Held while reading.
        self._reading = transport.lock()
        #: The thread or greenlet of the view.
        self._owner = transport.current()
        self._close_timeout = options.close_timeout
        self._plan_revalidation(hooks.revalidate_interval)
        self._control_frames = RateLimit(CONTROL_RATE, CONTROL_BURST)
        #: Who has taken the messages of groups too slowly, until that is logged; ``None`` if nobody has.
        self._overloaded: str | None = None
        #: The number of bytes that reads without waiting have taken since the queue was empty.
        self._polled_size = 0

    def start(self, received: bytes, handshake_timeout: float, began: float = math.inf) -> None:
        """Send the answer to the handshake, read the rest of one of hixie-76, and add the connection to the registry.

        ``received`` holds the bytes that the server has read behind the request. The rest of hixie-76's handshake has
        eight bytes, which have to arrive within ``handshake_timeout`` seconds; the connection is closed otherwise.
        ``began`` is as for :meth:`.Registry.add`.
        """
        # The answer goes out before anything is read: some proxies hold the rest of an old handshake back until then.
        self._flush()
        if received:
            self._take_and_answer(received)
        deadline = self._clock() + handshake_timeout
        while self.protocol.state is State.CONNECTING:
            try:
                self._take_and_answer(self._transport.receive(max(0.0, deadline - self._clock())))
            except TimedOut:
                self._abort("the rest of the handshake did not come in time", "error", logging.WARNING)
        self.protocol.forget_request()
        if self.protocol.inflates:
            self._transport.read_size = COMPRESSED_READ_SIZE
        elif self.protocol.is_plain:
            self._follow_protocol()
            self._transport.engage(self, (self._reading, self._writing))
        self._fast_path = self._allows_fast_path()
        registry.add(self, began)

    @property
    def latency(self) -> float | None:
        """Seconds between the last answered ping and its pong; ``None`` before the first."""
        return self._timers.latency

    @property
    def is_open(self) -> bool:
        """Whether no Close was sent, or is to be sent."""
        return self.protocol.state is State.OPEN and self._requested_close is None

    @property
    def is_faulty(self) -> bool:
        """The :attr:`.ConnectionStats.is_faulty` of the connection, which has ended; nothing is made for it."""
        code, _, cause = find_end(self.protocol, self._ending, self._requested_close)
        return is_fault(code, cause)

    def stats(self) -> ConnectionStats:
        """Return the figures of the connection, which has ended."""
        code, closed_by, cause = find_end(self.protocol, self._ending, self._requested_close)
        return ConnectionStats(
            self._clock() - self._opened_at,
            self.messages_received,
            self.messages_sent,
            self.bytes_received,
            self.bytes_sent,
            int(code),
            closed_by,
            cause,
        )

    @property
    def opened_at(self) -> float:
        """The time at which the connection was made, on a clock that never goes back."""
        return self._opened_at

    @property
    def heard_at(self) -> float | None:
        """The time at which bytes of the peer arrived last, a pong for example; ``None`` if none have."""
        heard_at = self._heard_at
        return heard_at if self.messages_received or heard_at > self._opened_at else None

    def clock(self) -> float:
        """Return the time now, on the clock of :attr:`opened_at` and :attr:`heard_at`."""
        return self._clock()

    @property
    def owner(self) -> object:
        """The thread or greenlet of the view."""
        return self._owner

    def describe(self) -> Peer | None:
        """Return who the peer is; ``None`` if that is not known, or not any more. Thread-safe."""
        return self._hooks.describe()

    def bell(self) -> Bell:
        """Return a new bell for :meth:`fetch_unless_rung`, which the running thread will call.

        :raises OSError: the process has too many open descriptors.
        """
        return self._transport.bell()

    # Receiving

    def fetch(self, timeout: float | None) -> bool:
        """Wait until there is a message, and return whether there is one: ``False`` once none will come.

        ``timeout`` is in seconds, ``None`` is no limit. One thread at a time.

        The loop is the fast path: nearly always a read and the messages in it are all there is to do.

        :raises TimeoutError: no message came in time.
        :raises RuntimeError: another thread is waiting.
        """
        if self._corked:
            self._flush()
        if (
            timeout is None
            and self._fast_path
            and not self._unsent
            and not self._resources
            and self._reading.acquire(False)
        ):
            try:
                transport, protocol, messages = self._transport, self.protocol, self.messages
                self._waiting = True
                if self._corked:
                    # Another thread may have sent this after the first look, before it could see that the view waits.
                    self._flush()
                while not messages and self._fast_path:
                    data = transport.receive()
                    position = protocol.take_whole_messages(data, messages)
                    if messages:
                        self._count_received(messages)
                    if position != len(data) or not data:
                        self._take_and_answer(data[position:])
                    now = self._heard_at = self._clock()
                    if now >= self._revalidate_at:
                        self._fast_path = False
            except TimedOut:
                self._fast_path = False
            finally:
                self._waiting = False
                self._reading.release()
            if messages:
                return True
        return self._fetch_with_timers(timeout)

    def take_in_time(self, timeout: float) -> Message | None:
        """Return the next message; ``None`` once none will come. ``timeout`` is in seconds. One thread at a time.

        :raises TimeoutError: no message came in time.
        :raises RuntimeError: another thread is waiting.
        """
        return self.messages.pop(0) if self.messages or self.fetch(timeout) else None

    def _fetch_with_timers(self, timeout: float | None) -> bool:
        """Return whether there is a message, as :meth:`fetch` does, and meet the deadlines of the timers meanwhile."""
        deadline = None if timeout is None else self._clock() + timeout
        if not self._reading.acquire(False) and not self._wait_to_read(timeout):
            return False
        try:
            self._waiting = True
            while not self.messages:
                if self.protocol.state is State.CLOSED:
                    return False
                self._read(deadline)
                if deadline is not None and not self.messages and self._clock() >= deadline:
                    raise TimeoutError(_NO_MESSAGE)
        finally:
            self._waiting = False if self.messages else None
            self._reading.release()
        return True

    def fetch_unless_rung(self, bell: Bell, timeout: float | None) -> bool:
        """Wait as :meth:`fetch` does, but also until ``bell`` was rung, and return whether something may still come.

        Bytes that have arrived are taken, and deadlines met, even if the bell was rung before. If the result is true,
        without a message and without a ring, the time is over.

        :raises RuntimeError: another thread is waiting.
        """
        deadline = None if timeout is None else self._clock() + timeout
        if not self._reading.acquire(False):
            try:
                if not self._wait_to_read(timeout):
                    return False
            except TimedOut:
                return True
        try:
            self._waiting = True
            while not self.messages:
                if self.protocol.state is State.CLOSED:
                    return False
                self._read(deadline, bell)
                if bell.rung or (deadline is not None and self._clock() >= deadline):
                    break
        finally:
            self._waiting = False if self.messages else None
            self._reading.release()
        return True

    def _wait_to_read(self, timeout: float | None) -> bool:
        """Acquire the lock for reading, which another thread holds, and return whether it was acquired.

        If not, the connection is aborted.

        :raises TimedOut: the lock was not free in time.
        :raises RuntimeError: another thread is waiting for messages.
        """
        if self._waiting:
            raise RuntimeError(_TWO_READERS)
        if interrupts(self, _READERS):
            raise RuntimeError(REENTERED)
        # The lock is held by a thread that polls while it sends. That thread waits only if a revalidation fails, and
        # then for the answer to Close.
        patience = self._close_timeout + LEAVE_TIMEOUT
        if not self._reading.acquire(timeout=patience if timeout is None else min(patience, max(0.0, timeout))):
            if self._waiting:
                raise RuntimeError(_TWO_READERS)
            if timeout is not None and timeout < patience:
                raise TimedOut(_NO_MESSAGE)
            self._abort("interrupted while reading", "error")
            return False
        return True

    def _read(self, deadline: float | None, bell: Bell | None = None) -> None:
        """Wait for bytes until ``deadline``, or until something else is due, and do that.

        ``bell`` ends the wait as well. The caller holds the lock for reading.
        """
        protocol, timers = self.protocol, self._timers
        if self._more:
            self._transport.more = True
        self._report_overload()
        if protocol.deferred_end is not None:
            # The view has taken all messages ahead of the end.
            self._finish_deferred()
            self._flush()
            return
        self._polled_size = 0
        idle_after = self._hooks.before_wait() if self._resources else None
        self._flush_late()
        seconds = timers.time_left(
            self._clock(),
            self._heard_at,
            deadline=deadline,
            idle_after=idle_after,
            revalidate_at=self._revalidate_at,
            closing=protocol.state is State.CLOSING,
            at_most=MAX_READ_TIME,
        )
        try:
            self._take_and_answer((self._transport if bell is None else bell).receive(seconds))
        except TimedOut:
            self._fast_path = False
            now = self._clock()
            if idle_after is not None and timers.is_idle(now, self._heard_at, idle_after):
                timers.note_idle(now)
                self._hooks.on_idle()
        self._flush_late()
        self._check_deadlines()
        self._flush()
        if self._clock() >= self._revalidate_at:
            self._revalidate()

    def look(self) -> None:
        """Take the bytes that have arrived, without waiting, for a view that asks for messages. Thread-safe.

        If no message was among them, other greenlets run before the call returns: a view may ask in a loop.
        """
        count = len(self.messages)
        self.poll(asked=True)
        if len(self.messages) == count:
            self._transport.let_others_run()

    def poll(self, *, asked: bool = False) -> bool:
        """Take the bytes that have arrived, without waiting; return whether this thread could read.

        Nothing is read once a whole read is queued. The result is ``False`` while another thread reads. ``asked`` means
        that the view asks for messages: if none is left, it has answered all that it has taken. Thread-safe.
        """
        protocol = self.protocol
        if not self._reading.acquire(blocking=False):
            return False
        try:
            if not self.messages:
                self._polled_size = 0
            self._polled_at = self._clock()
            room = self._polled_size < self._transport.read_size
            if room and protocol.state is not State.CLOSED and protocol.deferred_end is None:
                data = self._transport.try_receive()
                if data is None:
                    if self._has_unsent():
                        self._flush_nowait()
                        self._restart_closing()
                    self._check_deadlines()
                    self._flush_nowait()
                else:
                    self._polled_size += len(data)
                    self._take(data)
                    self._flush_nowait()
                    self._fast_path = self._allows_fast_path()
            if asked and not self.messages:
                self._waiting = None
            if protocol.deferred_end is not None and (
                self._timers.is_end_overdue(self._clock()) or (self._waiting is None and not self.messages)
            ):
                self._finish_deferred()
                self._flush_nowait()
        finally:
            self._reading.release()
        return True

    def _take_and_answer(self, data: bytes) -> None:
        """Take bytes that came in, and send what the protocol answers, for a view that waits for messages."""
        self._take(data, asked=True)
        if self._queued is not None or self._has_unsent():
            self._flush()
        self._fast_path = self._allows_fast_path()

    def _take_handed_over(self, data: bytes) -> None:
        """Take bytes that compiled code has read and that are not whole messages; ``b""`` is the end of the stream."""
        self._transport.more = self._more
        self._take_and_answer(data)

    def _give_back(self, data: bytes) -> None:
        """Take the part of a frame that compiled code has read, which goes no further with it."""
        self._fast_path = False
        self._transport.more = self._more
        self._take(data)

    def _take(self, data: bytes, *, asked: bool = False) -> None:
        """Take bytes that came in: messages are queued, and everything else is handled. Send nothing.

        ``asked`` means that the view waits for a message: if there is none ahead of the end, nothing defers the end.
        """
        now = self._heard_at = self._clock()
        protocol, messages = self.protocol, self.messages
        self._more = self._transport.more
        with self._mutex:
            self._suspend_core()
            received = protocol.receive(data)
            messages.extend(received)
            if asked and protocol.deferred_end is not None and not messages:
                protocol.finish_deferred()
            self._follow_protocol()
        if received:
            self._count_received(received)
        self._timers.pinged_at = None
        if self._waiting is None and messages:
            self._waiting = False
        if protocol.has_events:
            self._handle_events(now)

    def _count_received(self, messages: list[Message]) -> None:
        """Count messages that were received just now; the caller holds the lock for reading."""
        self.messages_received += len(messages)
        self.bytes_received += sum(map(payload_size, messages))

    def _handle_events(self, now: float) -> None:
        """Handle the events of the protocol other than messages: control frames, an error of the peer, the end."""
        protocol, timers = self.protocol, self._timers
        protocol.has_events = False
        if protocol.control_frames:
            frames, protocol.control_frames = protocol.control_frames, 0
            if not self._control_frames.take(frames, now, caught_up=not self._transport.more):
                with self._mutex:
                    self._suspend_core()
                    protocol.fail(PolicyViolation("too many control frames"))
                    self._follow_protocol()
        if protocol.pong is not None:
            pong, protocol.pong = protocol.pong, None
            timers.note_pong(pong, now)
        if protocol.deferred_end is not None:
            timers.start_finishing(now)
            if isinstance(protocol.deferred_end, ProtocolError):
                self._log(logging.WARNING, f"failed with {protocol.deferred_end.code}: {protocol.deferred_end}")
        elif protocol.error is not None:
            self._log(logging.WARNING, f"failed with {protocol.close_code}: {protocol.error}")

    def _allows_fast_path(self) -> bool:
        """Return whether :meth:`fetch` may use its fast path."""
        protocol = self.protocol
        return protocol.state is State.OPEN and protocol.deferred_end is None and not self._has_unsent()

    def _finish_deferred(self) -> None:
        """Answer the peer's Close, or fail the connection for its error, which was deferred. Send nothing."""
        with self._mutex:
            self._suspend_core()
            self.protocol.finish_deferred()
            self._follow_protocol()

    # Time

    def _check_deadlines(self) -> None:
        """Ping a silent peer, or abort the connection of one that gives no sign of life or no answer to Close."""
        timers, now = self._timers, self._clock()
        if self.protocol.state is State.CLOSING:
            if timers.is_close_overdue(now):
                self._abort("the peer did not answer Close")
        elif (due := timers.ping_due(self._heard_at)) is not None and now >= due:
            progress = self._transport.send_progress()
            if timers.pinged_at is not None:
                if not timers.extend_ping(now, progress):
                    self._abort("no sign of life after a ping", "ping_timeout")
                return
            self._fast_path = False
            data = timers.make_ping(now, progress)
            with self._mutex:
                if self.protocol.state is State.OPEN:
                    self.protocol.ping(data)

    def _revalidate(self) -> None:
        """Ask the hooks whether the peer may stay; if not, close the connection and drop all queued messages.

        The caller holds the lock for reading.
        """
        if self._is_unauthorized():
            self._finish_unauthorized()

    def _is_unauthorized(self) -> bool:
        """Return whether the hooks say that the peer may not stay; if so, the Close is sent. One thread at a time."""
        # No other thread revalidates meanwhile.
        self._plan_revalidation(None)
        reason = self._hooks.revalidate() if self.protocol.state is State.OPEN else None
        self._plan_revalidation(self._hooks.revalidate_interval)
        if reason is None:
            return False
        self._log(logging.INFO, f"closed with {UNAUTHORIZED}: {reason}")
        self._requested_close = UNAUTHORIZED, reason, "logged_out"
        self._flush()
        return True

    def _plan_revalidation(self, interval: float | None) -> None:
        """Plan the next revalidation in ``interval`` seconds; ``None``: never."""
        self._revalidate_at = math.inf if interval is None else self._clock() + interval

    def _finish_unauthorized(self) -> None:
        """Wait for the peer's answer to Close, and drop all messages; the caller holds the lock for reading."""
        while self.protocol.state is not State.CLOSED:
            self._read(None)
        self.messages.clear()

    # Sending

    def poll_while_sending(self) -> None:
        """Revalidate and read, at intervals, for a view that only sends and never waits for a message."""
        # If another thread holds the lock for reading, that thread revalidates. This one does not hold it during the
        # queries, which may take long: a thread that wants to wait for messages would wait for them.
        if (
            self._clock() >= self._revalidate_at
            and self._transport.current() == self._owner
            and not self._reading.locked()
            and self._is_unauthorized()
        ):
            if self._reading.acquire(False):
                try:
                    self._finish_unauthorized()
                finally:
                    self._reading.release()
            else:
                # A thread that has begun to wait for messages meanwhile reads the answer.
                closer.add(self.finish_if_due)
        self.poll_sometimes()

    def poll_sometimes(self) -> None:
        """Look for what has come in, at most once a second. Thread-safe."""
        now = self._clock()
        self._polled_at = max(self._polled_at, self._heard_at)
        if now - self._polled_at > POLL_INTERVAL:
            self.poll()

    def _flush_late(self) -> None:
        """Send bytes that could not be sent earlier."""
        if self._has_unsent():
            self._flush()
            self._restart_closing()

    def close_overloaded(self, who: str) -> None:
        """Close with 1013, because ``who``, as the log says, takes the messages of groups too slowly; never wait.

        The thread of the view logs it. The caller may hold a lock that a log handler waits for, one that sends what is
        logged to a group.
        """
        self._overloaded = who
        self.request_close(CloseCode.TRY_AGAIN_LATER, "too slow", "limit")

    def _report_overload(self) -> None:
        """Log that the connection was closed by :meth:`close_overloaded`, if it was, once."""
        who, self._overloaded = self._overloaded, None
        if who is not None:
            self._log(logging.WARNING, f"closed with 1013: {who} does not keep up with the messages of its groups")

    # Closing

    def close(self, code: int, reason: str) -> None:
        """Send Close; in the view's thread, also wait for the peer's Close, up to the close timeout, and drop messages.

        Do nothing on a connection that is closed. Thread-safe.
        """
        own = self._transport.current() == self._owner
        self._start_closing(code, reason, "normal", wait=own)
        if own:
            self._finish_closing()
        else:
            closer.add(self.finish_if_due)

    def request_close(self, code: int, reason: str = "", cause: Cause = "normal") -> None:
        """Send Close without waiting for anything. Safe in a signal handler.

        If a thread is writing at the moment, or the socket cannot be written to at once, the Close leaves a little
        later.
        """
        if self.protocol.state is not State.OPEN:
            return
        self._requested_close = code, reason, cause
        self._fast_path = False
        self._flush_nowait()
        closer.add(self.finish_if_due)

    def belongs_to(self, owner: str, key: str) -> bool:
        """Return whether the connection is that of an owner; see :meth:`.Hooks.belongs_to`."""
        return self._hooks.belongs_to(owner, key)

    def finish_if_due(self) -> bool:
        """Continue a closing handshake that perhaps no thread waits for; return whether it is over.

        The closer calls this in a native thread. It neither waits nor logs, because a native thread must not wait for a
        lock that a greenlet may hold.
        """
        if self.protocol.state is State.CLOSED:
            return True
        self._flush_nowait()
        # While another thread is writing, the Close is not queued and has no deadline. That thread has the send
        # timeout, and sends the Close afterwards.
        if self.protocol.state is not State.CLOSING or not self._timers.is_close_overdue(self._clock()):
            return False
        # Threads that read or write wake up, and find the end of the stream.
        self._transport.shutdown()
        return True

    def end(self, code: int, *, wait: bool) -> None:
        """Close the connection, shut its socket down and drop its references, in the thread of the view that has ended.

        Without ``wait`` nothing waits for the peer: the process, or the greenlet, is being stopped.
        """
        cause: Cause = "error" if code == CloseCode.INTERNAL_ERROR else "normal"
        try:
            self._report_overload()
            if not wait:
                self.request_close(code, "", cause)
                return
            if self.protocol.state is not State.CLOSED or self._queued is not None or self._has_unsent():
                self._start_closing(code, "", cause, wait=True)
                self._finish_closing()
            if self.protocol.error is not None:
                self._drain()
        finally:
            self.disengage()
            with self._mutex:
                self.protocol.connection_lost()
                self._follow_protocol()
                self._unsent, self._queued = b"", None
            flusher.discard(self._transport.fileno(), self._flush_nowait)
            self._transport.shutdown()
            registry.discard(self)
            closer.discard(self.finish_if_due)
            # The hooks refer to the request, and the request to this connection: only the garbage collector could free
            # the cycle.
            self._hooks = NO_HOOKS
            # The shutdown has woken the threads that still send or read. Once they have released the locks, the server
            # may close the socket.
            for lock in (self._writing, self._reading):
                if lock.acquire(False) or lock.acquire(timeout=LEAVE_TIMEOUT):
                    lock.release()

    def _start_closing(self, code: int, reason: str, cause: Cause, *, wait: bool) -> None:
        """Send Close, or hand it over to the thread that is writing at the moment.

        With ``wait``, wait until that thread has sent its frame, as long as the peer takes a byte of it within each
        close timeout.
        """
        if self.protocol.state is State.OPEN and self._requested_close is None:
            self._fast_path = False
            self._requested_close = code, reason, cause
        self._flush()
        if not wait or not self._has_unsent() or self._mutex._is_owned() or interrupts(self, WRITERS):  # noqa: SLF001
            return
        if not self._acquire_writing(self._close_timeout):
            return
        try:
            self._write_answers()
        except ConnectionClosed:
            pass
        finally:
            self._writing.release()

    def _finish_closing(self) -> None:
        """Read until the peer's Close has arrived or the close timeout is over; drop messages that arrive meanwhile."""
        if not self._reading.acquire(False):
            # The interrupted call, or another thread, began to read before the Close, perhaps for longer than the close
            # timeout, after which the closer wakes it.
            closer.add(self.finish_if_due)
            if interrupts(self, _READERS) or not self._reading.acquire(timeout=self._close_timeout + LEAVE_TIMEOUT):
                return
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
        except TimedOut:
            pass
        finally:
            self._reading.release()
