"""Opening a connection: from a handshake that was checked to one that was answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from ..options import Options
from ..protocols.base import Protocol, State
from ..transports import open_transport
from .connection import Connection
from .hooks import Hooks
from .receiving import READ_TIMEOUT


class Opening:
    """A handshake that was checked and is not answered yet. Thread-safe: one thread answers it."""

    __slots__ = ("_name", "_options", "_protocol", "_take_over", "_unanswered", "began", "hooks")

    def __init__(
        self,
        protocol: Protocol,
        take_over: Callable[[], tuple[Any, bytes]],
        options: Options,
        hooks: Hooks,
        name: str,
    ) -> None:
        """Prepare the answer.

        ``take_over`` returns the socket and the bytes that the server has read behind the request. ``name`` names
        the connection in the log.
        """
        #: When the handshake arrived, on the monotonic clock.
        self.began = time.monotonic()
        self._protocol = protocol
        self._take_over = take_over
        self._options = options
        self.hooks = hooks
        self._name = name
        #: The token that a thread pops before it answers. ``pop()`` is atomic, so that only one thread gets the token.
        #: A lock would take a kilobyte in a monkey-patched process, and other threads would wait for it instead of
        #: raising an error.
        self._unanswered = [True]

    def answer(self, subprotocol: str | None, headers: Iterable[tuple[str, str]]) -> tuple[Connection, bytes]:
        """Return the connection, its answer ready to send, and the bytes that the server has read behind the request.

        :meth:`Connection.start` has to be called next.

        :raises ValueError: a subprotocol or header that cannot be sent. Nothing was done; the handshake can be answered
            again.
        :raises RuntimeError: another thread is answering it.
        :raises ConnectionClosed: the handshake was given up.
        """
        protocol, options, hooks = self._protocol, self._options, self.hooks
        if protocol.state is State.CLOSED:
            raise protocol.closed_error()
        try:
            token = self._unanswered.pop()
        except IndexError:
            raise RuntimeError(
                "another thread is sending the handshake: accept() before others use the WebSocket"
            ) from None
        try:
            headers = list(headers)
            if headers or subprotocol is not None:
                # The arguments of the caller are checked first: the hooks save the session, and its cookie is sent
                # once.
                protocol.check_accept(subprotocol, headers)
            protocol.accept(subprotocol, [*headers, *hooks.before_handshake()])
        except BaseException:
            self._unanswered.append(token)
            raise
        sock, received = self._take_over()
        ping_interval = options.ping_interval if protocol.can_ping else None
        transport = open_transport(
            sock, min(READ_TIMEOUT, ping_interval or READ_TIMEOUT, hooks.revalidate_interval or READ_TIMEOUT)
        )
        if options.ping_interval is not None and not protocol.can_ping:
            transport.enable_keepalive(options.ping_interval, options.ping_timeout or options.ping_interval)
        return Connection(protocol, transport, options, hooks, self._name), received
