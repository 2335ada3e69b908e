"""An open connection: a protocol over a transport, driven by the threads that call its methods."""

from __future__ import annotations

import logging
import math
from typing import Final

from ..exceptions import ConnectionClosed
from ..options import Options
from ..process.closer import closer
from ..process.flusher import flusher
from ..process.registry import registry
from ..protocols.base import Protocol, State
from ..protocols.close_codes import CloseCode
from ..transports import TimedOut, Transport
from .hooks import NO_HOOKS, Hooks, Peer
from .receiving import LEAVE_TIMEOUT, READERS, Receiver
from .reentry import interrupts
from .sending import WRITERS
from .stats import Cause, ConnectionStats, find_end, is_fault

#: Bytes read at once where compression was agreed on: each of them can inflate to a thousand.
COMPRESSED_READ_SIZE: Final = 4096
#: The close code after a failed revalidation: HTTP's 401 moved into the range 4000 to 4999 for private use (RFC 6455
#: section 7.4.2).
UNAUTHORIZED: Final = 4401


class Connection(Receiver):
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

    __slots__ = ("_overloaded", "_owner")

    def __init__(
        self, protocol: Protocol, transport: Transport, options: Options, hooks: Hooks = NO_HOOKS, name: str = ""
    ) -> None:
        """Make the connection of an answered handshake, in the thread of its view; ``name`` names it in the log."""
        super().__init__(protocol, transport, options, hooks, name)
        #: The thread or greenlet of the view.
        self._owner = transport.current()
        self._plan_revalidation(hooks.revalidate_interval)
        #: Who has taken the messages of groups too slowly, until that is logged; ``None`` if nobody has.
        self._overloaded: str | None = None

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

    def belongs_to(self, owner: str, key: str) -> bool:
        """Return whether the connection is that of an owner; see :meth:`.Hooks.belongs_to`."""
        return self._hooks.belongs_to(owner, key)

    # Whether the peer may stay

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

    # Closing

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
            if interrupts(self, READERS) or not self._reading.acquire(timeout=self._close_timeout + LEAVE_TIMEOUT):
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
