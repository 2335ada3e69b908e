"""The connection below a WebSocket: bytes, locks and time."""

from __future__ import annotations

import json
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from ..exceptions import PolicyViolation
from ..process.registry import registry
from ..protocols.base import Message, Protocol, State
from ..transports import Lock, Transport, open_transport
from .hooks import NO_HOOKS, Hooks
from .rate_limit import Allowance
from .sending import Sender
from .timers import Keepalive

logger = logging.getLogger("django_websocket.connection")

# Looking one up in its class costs more than the rest of the comparison.
_OPEN: Final = State.OPEN

#: Seconds without bytes after which a read that waits for nothing else looks whether there is something else to do.
#: Long, as each look wants the interpreter: of thousands of threads too many would queue for it. But from 16 seconds on
#: Linux rounds a socket's timeout to two seconds and more, and all that have fallen silent in them would wake at once.
SILENCE: Final = 15.0
#: Seconds that a read waits at most before it looks whether another thread, or a signal handler, wants to close.
MAX_PATIENCE: Final = 20.0
#: Bytes taken at once where compression was agreed on: each can inflate to a thousand.
COMPRESSED_READ_SIZE: Final = 4096
#: Control frames that a peer may send a second, and how many more at once: each costs an answer, or time.
CONTROL_RATE: Final = 100
CONTROL_BURST: Final = 200
#: The close code for a peer that may not stay: HTTP's 401, in the range for applications.
UNAUTHORIZED: Final = 4401


class Connection(Sender):
    """A protocol and a transport, driven by the threads that call: how it opens, receives, and keeps time.

    One thread may read, under a lock of its own.

    A peer that breaks the protocol is told so when the view asks for a message and none is left: what came ahead of the
    mistake has been answered then. It may take the close timeout until then, and nothing is read meanwhile.
    """

    # As many attributes as this has would be slower, and take more memory, in a dictionary.
    __slots__ = (
        "_backlog",
        "_control_frames",
        "_due",
        "_encoder",
        "_handshake_timeout",
        "_holds",
        "_hooks",
        "_hushed",
        "_keepalive",
        "_looked",
        "_messages",
        "_nones",
        "_owner",
        "_reading",
        "_subprotocol",
        "_take_over",
        "_unopened",
        "_waiting",
        "_watch",
    )

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
        hooks: Hooks | None = None,
    ) -> None:
        """Make a connection of a checked handshake; ``take_over`` gives the server's socket and what it has read of it.

        All times are in seconds. ``name`` says in the log which connection it is, ``hooks`` is what it asks of those
        around it.
        """
        super().__init__(protocol, name=name, send_timeout=send_timeout, close_timeout=close_timeout)
        protocol.defers_errors = True
        self._take_over = take_over
        self._keepalive = Keepalive(ping_interval if protocol.can_ping else None, ping_timeout)
        self._watch = None
        if ping_interval is not None and not protocol.can_ping:
            self._watch = ping_interval, ping_timeout or ping_interval
        self._control_frames = Allowance(CONTROL_RATE, CONTROL_BURST)
        self._handshake_timeout = handshake_timeout
        self._encoder = encoder
        self._hooks = hooks or NO_HOOKS
        self._holds: Sequence[object] = ()
        #: When the peer is to be revalidated; when it was so silent last that the hooks were told.
        self._due = math.inf
        self._hushed = -math.inf
        self._subprotocol = next((name for name in subprotocols if name in protocol.offered_subprotocols), None)
        #: What a thread takes to send the handshake; none is left once it is being sent. A lock would be waited for.
        self._unopened = [True]
        self._messages: deque[Message] = deque()
        #: Held while reading.
        self._reading: Lock
        self._owner: object
        #: Bytes taken without waiting since the queue was empty.
        self._backlog = 0
        #: When bytes were looked for last without waiting.
        self._looked = 0.0
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
        try:
            token = self._unopened.pop()
        except IndexError:
            raise RuntimeError(
                "another thread is sending the handshake: accept() before others use the WebSocket"
            ) from None
        try:
            protocol.accept(subprotocol, [*headers, *self._hooks.before_handshake()])
        except BaseException:
            self._unopened.append(token)
            raise
        sock, received = self._take_over()
        transport = open_transport(
            sock, min(SILENCE, self._keepalive.interval or SILENCE, self._hooks.revalidate_interval or SILENCE)
        )
        self._clock = transport.clock
        self._owner = transport.current()
        self._mutex, self._writing, self._reading = transport.mutex(), transport.lock(), transport.lock()
        self._keepalive.heard = self._looked = self._clock()
        self._holds = self._hooks.resources
        self._plan_revalidation()
        self._transport = transport
        if self._watch:
            transport.enable_keepalive(*self._watch)
        # Before what has come is looked at: some proxies hold the rest of an old handshake back until they see this.
        self._flush()
        if received:
            self._feed(received)
        self._complete_handshake(transport)
        protocol.forget_request()
        if protocol.inflates:
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
        if self._protocol.deferred_error is not None:
            # Whoever waits has taken what came ahead of it.
            self._fail()
            return
        self._backlog = 0
        silence = self._hooks.before_wait() if self._holds else None
        self._flush_late()
        try:
            self._feed(transport.receive(self._patience(deadline, silence)))
        except TimeoutError:
            self._calm = False
            if silence is not None and self._clock() >= self._last_sound + silence:
                self._hushed = self._clock()
                self._hooks.on_idle()
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
            if (
                self._backlog < transport.read_size
                and protocol.state is not State.CLOSED
                and protocol.deferred_error is None
            ):
                data = transport.try_receive()
                if data is None:
                    self._keep_time(wait=False)
                else:
                    self._backlog += len(data)
                    self._feed(data, wait=False)
            if protocol.deferred_error is not None and (self._is_late() or (asked and not self._messages)):
                self._fail(wait=False)
        finally:
            self._reading.release()
        return True

    def _feed(self, data: bytes, *, wait: bool = True) -> None:
        """Take bytes that came in; answers leave at once, or with ``wait=False`` as far as they can."""
        self._keepalive.heard = self._clock()
        with self._mutex:
            self._messages.extend(self._protocol.receive(data))
        assert self._transport is not None
        self._heed(wait=wait, caught_up=not self._transport.more)

    def _heed(self, *, wait: bool, caught_up: bool = True) -> None:
        """See to what has come in besides messages; ``caught_up`` if there was no more of it at the moment."""
        protocol, keepalive, now = self._protocol, self._keepalive, self._clock()
        keepalive.pinged = None
        if protocol.has_events:
            protocol.has_events = False
            if protocol.control_frames:
                frames, protocol.control_frames = protocol.control_frames, 0
                if not self._control_frames.take(frames, now, caught_up=caught_up):
                    with self._mutex:
                        protocol.fail(PolicyViolation("too many control frames"))
            if protocol.pong is not None:
                pong, protocol.pong = protocol.pong, None
                keepalive.note_pong(pong, now)
            if protocol.deferred_error is not None:
                self._close_deadline = now + self._close_timeout
                self._log(logging.WARNING, f"failed with {protocol.deferred_error.code}: {protocol.deferred_error}")
            elif protocol.error is not None:
                self._log(logging.WARNING, f"failed with {protocol.close_code}: {protocol.error}")
        if self._has_unsent:
            self._flush(wait=wait)
        self._calm = protocol.state is _OPEN and protocol.deferred_error is None and not self._has_unsent

    def _fail(self, *, wait: bool = True) -> None:
        """Tell the peer of its mistake."""
        with self._mutex:
            self._protocol.fail()
        self._flush(wait=wait)

    # Time

    @property
    def _last_sound(self) -> float:
        """When bytes came in last, or the hooks were told that there are none."""
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
        interval = self._hooks.revalidate_interval
        self._due = math.inf if interval is None else self._clock() + interval

    def _revalidate(self, transport: Transport) -> None:
        """Ask whether the peer may stay, and close if not; what it says meanwhile is dropped.

        The caller holds the lock for reading.
        """
        reason = self._hooks.revalidate() if self._protocol.state is _OPEN else None
        self._plan_revalidation()
        if reason is None:
            return
        self._log(logging.INFO, f"closed with {UNAUTHORIZED}: {reason}")
        self._requested = UNAUTHORIZED, reason
        self._flush()
        while self._protocol.state is not State.CLOSED:
            self._receive(transport, None)
        self._messages.clear()

    def _dismiss_hooks(self) -> None:
        """Need nothing more. The hooks know who knows this, so that only the garbage collector would find them all."""
        self._hooks = NO_HOOKS
