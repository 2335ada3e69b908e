"""Opening a connection: from a handshake that was checked to one that was answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..options import Options
from ..protocols.base import Protocol, State
from ..transports import open_transport
from .connection import TICK, Connection
from .hooks import Hooks


class Opening:
    """A handshake that was checked and is not answered yet. Thread-safe: one thread answers it."""

    __slots__ = ("_hooks", "_name", "_options", "_protocol", "_take_over", "_unanswered")

    def __init__(
        self,
        protocol: Protocol,
        take_over: Callable[[], tuple[Any, bytes]],
        options: Options,
        hooks: Hooks,
        name: str,
    ) -> None:
        """Prepare the answer; ``take_over`` returns the server's socket and the bytes that it has read from it.

        ``name`` names the connection in the log.
        """
        self._protocol = protocol
        self._take_over = take_over
        self._options = options
        self._hooks = hooks
        self._name = name
        #: The token that a thread takes to answer. A list hands its element to one thread only; a lock of a
        #: monkey-patched process would take a kilobyte, and would be waited for.
        self._unanswered = [True]

    def answer(self, subprotocol: str | None, headers: Iterable[tuple[str, str]]) -> tuple[Connection, bytes]:
        """Make the answer ready to send and open the transport.

        Return the connection, and the bytes that the server has read from it. :meth:`Connection.start` comes next.

        :raises ValueError: a subprotocol or header that cannot be sent. Nothing was done; the handshake can be answered
            again.
        :raises RuntimeError: another thread is answering it.
        :raises ConnectionClosed: the handshake was given up.
        """
        protocol, options, hooks = self._protocol, self._options, self._hooks
        if protocol.state is State.CLOSED:
            raise protocol.closed_error()
        try:
            token = self._unanswered.pop()
        except IndexError:
            raise RuntimeError(
                "another thread is sending the handshake: accept() before others use the WebSocket"
            ) from None
        try:
            protocol.accept(subprotocol, [*headers, *hooks.before_handshake()])
        except BaseException:
            self._unanswered.append(token)
            raise
        sock, received = self._take_over()
        ping_interval = options.ping_interval if protocol.can_ping else None
        transport = open_transport(sock, min(TICK, ping_interval or TICK, hooks.revalidate_interval or TICK))
        if options.ping_interval is not None and not protocol.can_ping:
            transport.enable_keepalive(options.ping_interval, options.ping_timeout or options.ping_interval)
        return Connection(protocol, transport, options, hooks, self._name), received
