"""Conversations over a pair of sockets: a client that sends any bytes, and a view that answers them.

Fuzzing and the counting of references run them; both need a connection as a server has it, without a server.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import socket
import struct
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from django_websocket.connection.rate_limit import RateLimit
from django_websocket.connection.receiving import CONTROL_RATE
from django_websocket.connection.stats import ConnectionStats
from django_websocket.exceptions import ConnectionClosed
from django_websocket.options import Options
from django_websocket.protocols.base import Message
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.websocket import WebSocket

from .servers import PATIENCE

#: Bytes that a client sends at most: more might not fit into the buffers of a pair of sockets, while nobody reads them.
MAX_STREAM: Final = 1 << 16
#: Seconds that a client waits until the view has read a piece, before it sends the next one all the same.
TURN: Final = 0.005
#: Seconds in which everything ends, unless something hangs.
TIMEOUT: Final = PATIENCE

#: A message ahead of all others, within any limit: the code in Python takes the first bytes of a connection, compiled
#: code what follows.
FIRST: Final = ""
FIRST_FRAME: Final = b"\x81\x80\0\0\0\0"

LOGGER: Final = logging.getLogger("django_websocket")

HEADERS: Final = {
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class View(NamedTuple):
    """What the view does."""

    #: Whether it iterates over the messages; otherwise it calls ``wait()``.
    iterates: bool = False
    #: Whether it sends every message back.
    echoes: bool = True
    #: Whether it collects what it sends.
    corked: bool = False
    #: The number of messages after which it closes the connection; ``None``: never.
    closes_after: int | None = None
    #: The greatest size of a message in bytes; ``None``: there is no limit.
    limit: int | None = 1 << 20
    #: The greatest number of frames of a message; ``None``: there is no limit.
    fragments: int | None = 1024


class Outcome(NamedTuple):
    """What both sides have seen of a conversation."""

    messages: list[Message]
    code: int | None
    reason: str
    #: What was raised in the view, and the protocol's error.
    errors: tuple[str, str]
    #: The bytes that the client has received behind the head of the handshake's answer.
    sent: bytes
    stats: ConnectionStats


def options(view: View) -> Options:
    """Return the options of the connection of a view; nothing of it depends on the time unless it hangs."""
    return Options(
        allowed_origins=("*",),
        require_origin=False,
        max_message_size=view.limit,
        max_fragments=view.fragments,
        compression=None,
        ping_interval=None,
        ping_timeout=None,
        send_timeout=TIMEOUT,
        close_timeout=TIMEOUT,
        handshake_timeout=TIMEOUT,
    )


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Log nothing during the block: half of all conversations break the protocol, which would be logged."""
    level = LOGGER.level
    LOGGER.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        LOGGER.setLevel(level)


def converse(pieces: Sequence[bytes], view: View) -> Outcome:
    """Send ``pieces`` and then the end of the stream to a view, as its client, and return the outcome.

    The message :data:`FIRST`, which is sent ahead of them, is no part of it. Each piece is sent when the one before it
    was read, or a moment later, so that reads end where pieces do.
    """
    server, client = socket.socketpair()
    for sock in (server, client):
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * MAX_STREAM)
    sent = bytearray()
    sending = threading.Thread(target=_send, args=(client, server.fileno(), pieces), daemon=True)
    reading = threading.Thread(target=_receive, args=(client, sent), daemon=True)
    with server, client:
        protocol = RFC6455(
            Request(HEADERS, host="example.com", http_version=(1, 1)),
            max_message_size=view.limit,
            max_fragments=view.fragments,
        )
        ws = WebSocket(protocol, lambda: (server, b""), options(view))
        # Control frames are limited by the time, on which nothing may depend here.
        ws.open()._control_frames = RateLimit(CONTROL_RATE, MAX_STREAM)  # noqa: SLF001 - there is no setting for it.
        sending.start()
        reading.start()
        messages: list[Message] = []
        error = ""
        try:
            first = ws.wait()
            assert first == FIRST, first
            _run(ws, view, messages)
        except ConnectionClosed as closed:
            error = repr(closed)
        ws.end()
        server.close()
        reading.join(TIMEOUT)
        sending.join(TIMEOUT)
        assert not reading.is_alive(), "the client waits for the end of the stream"
        assert not sending.is_alive(), "the client cannot send"
    return Outcome(
        messages,
        ws.close_code,
        ws.close_reason,
        (error, repr(protocol.error)),
        bytes(sent).partition(b"\r\n\r\n")[2],
        ws.open().stats(),
    )


def _run(ws: WebSocket, view: View, messages: list[Message]) -> None:
    """Run the view, and append the messages that it receives."""
    if view.corked:
        with ws.corked():
            _run(ws, view._replace(corked=False), messages)
        return
    waits: Iterator[Message] = iter(ws.wait, None)
    for message in ws if view.iterates else waits:
        messages.append(message)
        if view.echoes:
            ws.send(message)
        if len(messages) == view.closes_after:
            ws.close(1000, "enough")
            return


def _send(client: socket.socket, server: int, pieces: Sequence[bytes]) -> None:
    """Send the pieces, each when the descriptor ``server`` has nothing left to read, and then the end."""
    try:
        for piece in (FIRST_FRAME, *pieces):
            client.sendall(piece)
            deadline = time.monotonic() + TURN
            while struct.unpack("i", fcntl.ioctl(server, termios.FIONREAD, bytes(4)))[0]:
                if time.monotonic() > deadline:
                    break
                time.sleep(0)
        client.shutdown(socket.SHUT_WR)
    except OSError:
        # The view has ended, and so has the connection.
        pass


def _receive(client: socket.socket, sent: bytearray) -> None:
    """Receive what the view sends, up to the end of the stream."""
    try:
        while data := client.recv(MAX_STREAM):
            sent += data
    except ConnectionResetError:
        pass
