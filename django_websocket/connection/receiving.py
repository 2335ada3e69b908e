"""The receiving half of a connection: messages for the view, answers for the peer, and the deadlines of both."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Final

from ..exceptions import PolicyViolation, ProtocolError
from ..options import Options
from ..protocols.base import Message, Protocol, State, payload_size
from ..transports import Bell, TimedOut, Transport
from .hooks import Hooks
from .rate_limit import RateLimit
from .reentry import interrupts
from .sending import POLL_INTERVAL, REENTERED, Sender

#: The timeout in seconds of a read on the fast path, after which the other deadlines are checked. It is long because
#: each timeout needs the interpreter's lock, for which thousands of threads would queue. It stays below 16 seconds
#: because Linux rounds longer socket timeouts to two seconds and more: all connections that fell silent within such a
#: step would wake at once.
READ_TIMEOUT: Final = 15.0
#: The longest time in seconds of one read, after which the thread checks whether another thread or a signal handler has
#: requested a close.
MAX_READ_TIME: Final = 20.0
#: The rate per second and the burst of the control frames that a peer may send (see :class:`RateLimit`): each takes an
#: answer, or time.
CONTROL_RATE: Final = 100
CONTROL_BURST: Final = 200
_TWO_READERS: Final = "another thread is waiting for this WebSocket's messages"
_NO_MESSAGE: Final = "no message came in time"
#: The methods of a connection that hold the lock for reading.
READERS: Final = frozenset(
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
#: Seconds that :meth:`.Connection.end` waits for each lock that another thread still holds after the shutdown. Whoever
#: waits for a thread that reads waits for it this much longer than the close timeout, after which that thread is woken.
LEAVE_TIMEOUT: Final = 1.0


class Receiver(Sender):
    """What receives on a connection: the view, another thread in its place, and whoever polls while it sends.

    :class:`.Connection` describes the locks, and adds the end.
    """

    __slots__ = ("_close_timeout", "_control_frames", "_hooks", "_polled_size", "_reading")

    def __init__(self, protocol: Protocol, transport: Transport, options: Options, hooks: Hooks, name: str) -> None:
        """Make the receiving half; the arguments are those of :class:`.Connection`."""
        super().__init__(protocol, transport, options, name)
        self._hooks = hooks
        self._resources = hooks.resources
        #: Held while reading.
        self._reading = transport.lock()
        self._close_timeout = options.close_timeout
        self._control_frames = RateLimit(CONTROL_RATE, CONTROL_BURST)
        #: The number of bytes that reads without waiting have taken since the queue was empty.
        self._polled_size = 0

    @abstractmethod
    def _revalidate(self) -> None:
        """Ask the hooks whether the peer may stay; the caller holds the lock for reading."""

    @abstractmethod
    def _report_overload(self) -> None:
        """Log that the connection was closed by :meth:`close_overloaded`, if it was, once."""

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

    def bell(self) -> Bell:
        """Return a new bell for :meth:`fetch_unless_rung`, which the running thread will call.

        :raises OSError: the process has too many open descriptors.
        """
        return self._transport.bell()

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
        if interrupts(self, READERS):
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

    def poll_sometimes(self) -> None:
        """Look for what has come in, at most once a second. Thread-safe."""
        now = self._clock()
        self._polled_at = max(self._polled_at, self._heard_at)
        if now - self._polled_at > POLL_INTERVAL:
            self.poll()

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
