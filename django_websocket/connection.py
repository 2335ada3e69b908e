"""The connection below a WebSocket: bytes, locks and time."""

from __future__ import annotations

import json
import logging
import math
import socket
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from .care import Care
from .exceptions import ConnectionClosed, PolicyViolation
from .keepalive import Keepalive
from .protocols.base import CloseCode, Message, Protocol, State
from .rates import Allowance
from .reaper import reaper
from .registry import registry
from .transports import Lock, Transport, is_timeout, open_transport

logger = logging.getLogger("django_websocket.connection")

# Looking one up in its class costs more than the rest of the comparison.
_OPEN: Final = State.OPEN

#: Seconds without bytes after which a read that waits for nothing else looks whether there is something else to do.
SILENCE: Final = 1.0
#: Seconds that a read waits at most before it looks whether another thread, or a signal handler, wants to close.
MAX_PATIENCE: Final = 20.0
#: Bytes taken at once where compression was agreed on: each can inflate to a thousand.
COMPRESSED_READ_SIZE: Final = 4096
#: Control frames that a peer may send a second, and how many more at once: each costs an answer, or time.
CONTROL_RATE: Final = 100
CONTROL_BURST: Final = 200
#: The close code for a peer that may not stay: HTTP's 401, in the range for applications.
UNAUTHORIZED: Final = 4401


class Connection:
    """A protocol and a transport, driven by the threads that call.

    Of the protocol's calls one runs at a time, under a mutex that is never held over a read or a write. One thread may
    read and one may write, each under a lock of its own. What the protocol says by itself, a pong or a Close, is sent
    by whoever has read its cause, or by the thread that is writing at the moment.

    A peer that breaks the protocol is told so when the view asks for a message and none is left: what came ahead of the
    mistake has been answered then. It may take the close timeout until then, and nothing is read meanwhile.
    """

    def __init__(
        self,
        protocol: Protocol,
        take_over: Callable[[], tuple[Any, bytes]],
        *,
        subprotocols: Sequence[str] = (),
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        send_timeout: float = 10,
        close_timeout: float = 5,
        handshake_timeout: float = 5,
        encoder: type[json.JSONEncoder] | None = None,
        name: str = "",
        care: Care | None = None,
    ) -> None:
        """Make a connection of a checked handshake; ``take_over`` gives the server's socket and what it has read of it.

        All times are in seconds. ``name`` says in the log which connection it is, ``care`` is what it asks of those
        around it.
        """
        self._protocol = protocol
        protocol.holds_fault = True
        self._take_over = take_over
        self._keepalive = Keepalive(ping_interval if protocol.can_ping else None, ping_timeout)
        self._watch = None
        if ping_interval is not None and not protocol.can_ping:
            self._watch = ping_interval, ping_timeout or ping_interval
        self._control_frames = Allowance(CONTROL_RATE, CONTROL_BURST)
        self._send_timeout = send_timeout
        self._close_timeout = close_timeout
        self._handshake_timeout = handshake_timeout
        self._encoder = encoder
        self._name = name
        self._care = care or Care()
        self._holds: Sequence[object] = ()
        #: When the peer is to be revalidated; when it was so silent last that the care was told.
        self._due = math.inf
        self._hushed = -math.inf
        self._subprotocol = next((name for name in subprotocols if name in protocol.offered_subprotocols), None)

        #: Held once the handshake is being sent.
        self._opening = allocate_lock()
        self._transport: Transport | None = None
        self._messages: deque[Message] = deque()
        #: Held around calls of the protocol, which wait for nothing; never while reading or writing.
        self._mutex: Lock
        #: Held while writing, so that frames leave whole and in order.
        self._writing: Lock
        #: Held while reading.
        self._reading: Lock
        self._clock: Callable[[], float]
        self._owner: object
        #: Whether there is nothing to do for a reader but to wait for bytes.
        self._calm = False
        #: Bytes taken without waiting since the queue was empty.
        self._backlog = 0
        #: When bytes were looked for last without waiting.
        self._looked = 0.0
        #: What is left of a frame that could not be sent at once.
        self._remainder = b""
        #: Whether something to send was left to the thread that was writing.
        self._left = False
        #: When the peer's time to answer Close is over; or a view's, to answer what came ahead of a mistake.
        self._close_deadline: float | None = None
        #: The code and reason of a Close that is to be sent.
        self._requested: tuple[int, str] | None = None
        self._nones = 0
        #: Whether a thread waits for messages.
        self._waiting = False

    @property
    def handshake_sent(self) -> bool:
        """Whether the handshake has been sent: from then on no HTTP response can be."""
        return self._transport is not None

    # Opening

    def _connect(self, subprotocol: str | None, headers: Iterable[tuple[str, str]]) -> Transport:
        """Send the handshake; the connection is open then, or closed if the client is gone."""
        protocol = self._protocol
        if protocol.state is State.CLOSED:
            raise protocol.closed_error()
        # Never waited for: the thread that holds it may wait for the client.
        if not self._opening.acquire(blocking=False):
            raise RuntimeError("another thread is sending the handshake: accept() before others use the WebSocket")
        try:
            protocol.accept(subprotocol, [*headers, *self._care.opening()])
        except BaseException:
            self._opening.release()
            raise
        sock, received = self._take_over()
        transport = open_transport(sock, min(self._keepalive.interval or SILENCE, SILENCE))
        self._clock = transport.clock
        self._owner = transport.current()
        self._mutex, self._writing, self._reading = transport.mutex(), transport.lock(), transport.lock()
        self._keepalive.heard = self._looked = self._clock()
        self._holds = self._care.holds
        self._plan_revalidation()
        self._transport = transport
        if self._watch:
            transport.watch(*self._watch)
        # Before what has come is looked at: some proxies hold the rest of an old handshake back until they see this.
        self._flush()
        if received:
            self._feed(received)
        self._complete_handshake(transport)
        if self._protocol.inflates:
            transport.read_size = COMPRESSED_READ_SIZE
        self._heed(wait=True)
        registry.add(self)
        return transport

    def _complete_handshake(self, transport: Transport) -> None:
        """Read the rest of a handshake that has more than a request (hixie-76's eight bytes)."""
        deadline = self._clock() + self._handshake_timeout
        while self._protocol.state is State.CONNECTING:
            try:
                self._feed(transport.receive(max(0.0, deadline - self._clock())))
            except TimeoutError:
                self._lose("the rest of the handshake did not come in time", logging.WARNING)

    # Receiving

    def _receive(self, transport: Transport, deadline: float | None) -> None:
        """Wait for bytes until ``deadline``, or until it is time for something else, and do that.

        The caller holds the lock for reading.
        """
        if self._protocol.fault is not None:
            # Whoever waits has taken what came ahead of it.
            self._fail()
            return
        self._backlog = 0
        silence = self._care.pause() if self._holds else None
        try:
            if self._calm and deadline is None:
                self._feed(transport.receive())
                if self._keepalive.heard < self._due:
                    return
            else:
                self._flush_late()
                self._feed(transport.receive(self._patience(deadline, silence)))
        except TimeoutError:
            self._calm = False
            if silence is not None and self._clock() >= self._last_sound + silence:
                self._hushed = self._clock()
                self._care.silence()
        self._keep_time()
        if self._clock() >= self._due:
            self._revalidate(transport)

    def _look(self, transport: Transport, *, asked: bool = False) -> bool:
        """Take what has come, without waiting, while less than one read's worth is queued.

        ``asked`` tells that the view asks for messages. Gives whether it could look: not while another thread reads.
        """
        if not self._reading.acquire(blocking=False):
            return False
        protocol = self._protocol
        try:
            if not self._messages:
                self._backlog = 0
            self._looked = self._clock()
            if self._backlog < transport.read_size and protocol.state is not State.CLOSED and protocol.fault is None:
                data = transport.receive_now()
                if data is None:
                    self._keep_time(wait=False)
                else:
                    self._backlog += len(data)
                    self._feed(data, wait=False)
            if protocol.fault is not None and (self._is_late() or (asked and not self._messages)):
                self._fail(wait=False)
        finally:
            self._reading.release()
        return True

    def _feed(self, data: bytes, *, wait: bool = True) -> None:
        """Take bytes that came in; answers leave at once, or with ``wait=False`` as far as they can."""
        self._keepalive.heard = self._clock()
        protocol, mutex = self._protocol, self._mutex
        # A with statement takes nearly three times as long.
        mutex.acquire()
        try:
            messages = protocol.receive(data)
        finally:
            mutex.release()
        self._messages.extend(messages)
        if protocol.attention or not self._calm:
            assert self._transport is not None
            self._heed(wait=wait, caught_up=len(data) < self._transport.read_size)

    def _heed(self, *, wait: bool, caught_up: bool = True) -> None:
        """See to what has come in besides messages; ``caught_up`` if there was no more of it at the moment."""
        protocol, keepalive, now = self._protocol, self._keepalive, self._clock()
        keepalive.pinged = None
        if protocol.attention:
            protocol.attention = False
            if protocol.control_frames:
                frames, protocol.control_frames = protocol.control_frames, 0
                if not self._control_frames.take(frames, now, caught_up=caught_up):
                    with self._mutex:
                        protocol.fail(PolicyViolation("too many control frames"))
            if protocol.pong is not None:
                pong, protocol.pong = protocol.pong, None
                keepalive.note_pong(pong, now)
            if protocol.fault is not None:
                self._close_deadline = now + self._close_timeout
                self._log(logging.WARNING, f"failed with {protocol.fault.code}: {protocol.fault}")
            elif protocol.error is not None:
                self._log(logging.WARNING, f"failed with {protocol.close_code}: {protocol.error}")
        if self._has_unsent:
            self._flush(wait=wait)
        self._calm = protocol.state is _OPEN and protocol.fault is None and not self._has_unsent

    def _fail(self, *, wait: bool = True) -> None:
        """Tell the peer of its mistake."""
        with self._mutex:
            self._protocol.fail()
        self._flush(wait=wait)

    # Time

    @property
    def _last_sound(self) -> float:
        """When bytes came in last, or the care was told that there are none."""
        return max(self._keepalive.heard, self._hushed)

    def _patience(self, deadline: float | None, silence: float | None) -> float:
        """Give the seconds to wait for bytes."""
        now = self._clock()
        limits = (
            deadline,
            self._close_deadline if self._protocol.state is State.CLOSING else self._keepalive.due,
            None if silence is None else self._last_sound + silence,
            self._due,
            now + MAX_PATIENCE,
        )
        return max(0.0, min(limit for limit in limits if limit is not None) - now)

    def _keep_time(self, *, wait: bool = True) -> None:
        """Do what is due: a ping, or giving up on a peer that gives no sign of life or does not answer Close."""
        self._flush_late(wait=wait)
        keepalive, now = self._keepalive, self._clock()
        if self._protocol.state is State.CLOSING:
            if self._is_late():
                self._lose("the peer did not answer Close")
        elif keepalive.due is not None and now >= keepalive.due:
            if keepalive.pinged is not None:
                self._lose("no sign of life after a ping")
                return
            self._calm = False
            data = keepalive.ping(now)
            with self._mutex:
                if self._protocol.state is not State.OPEN:
                    return
                self._protocol.ping(data)
            self._flush(wait=wait)

    def _plan_revalidation(self) -> None:
        interval = self._care.interval
        self._due = math.inf if interval is None else self._clock() + interval

    def _revalidate(self, transport: Transport) -> None:
        """Ask whether the peer may stay, and close if not; what it says meanwhile is dropped.

        The caller holds the lock for reading.
        """
        reason = self._care.revalidate() if self._protocol.state is _OPEN else None
        self._plan_revalidation()
        if reason is None:
            return
        self._log(logging.INFO, f"closed with {UNAUTHORIZED}: {reason}")
        self._requested = UNAUTHORIZED, reason
        self._flush()
        while self._protocol.state is not State.CLOSED:
            self._receive(transport, None)
        self._messages.clear()

    def _is_late(self) -> bool:
        """Tell whether the time that a closing has is over."""
        return self._close_deadline is not None and self._clock() >= self._close_deadline

    # Sending

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

    def _put(self, data: bytes) -> None:
        """Send bytes; the caller holds the lock for writing.

        :raises ConnectionClosed: the connection is gone.
        """
        assert self._transport is not None
        if self._remainder:
            data, self._remainder = self._remainder + data, b""
        try:
            self._transport.send(data, self._send_timeout)
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
            self._remainder = data[self._transport.send_now(data) :] if data else b""
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

    def _lose(self, reason: str, level: int = logging.INFO) -> None:
        """Give the connection up."""
        with self._mutex:
            self._calm = False
            if lost := self._protocol.state is not State.CLOSED:
                self._protocol.lose()
                self._remainder = b""
        if self._transport is not None:
            self._transport.shutdown()
        if lost:
            self._log(level, f"lost: {reason}")

    def _log(self, level: int, text: str) -> None:
        logger.log(level, "WebSocket %s %s", self._name, text)
