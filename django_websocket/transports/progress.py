"""The progress of what was sent: how much of it the peer has taken.

The peer has taken a byte once the peer's system has acknowledged it.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any, Final, NamedTuple

try:
    import fcntl
    import termios
except ImportError:  # pragma: no cover - Windows has neither.
    _TIOCOUTQ = None
else:
    _TIOCOUTQ = getattr(termios, "TIOCOUTQ", None)

#: Linux's ``struct tcp_info`` up to ``tcpi_notsent_bytes``, of which three fields are read.
_TCP_INFO: Final = struct.Struct("=24xI92xQ16xI")


class SendProgress(NamedTuple):
    """The progress of what was sent on a connection."""

    #: A number that grows whenever the peer takes more of what was sent. Only its changes have a meaning.
    taken: int
    #: Whether there are sent bytes that the peer has not taken yet.
    pending: bool


def tcp_progress(sock: Any) -> SendProgress | None:
    """Return the progress of a TCP connection, by the acknowledgements of the peer's system; ``None`` if unknown.

    Linux counts acknowledged bytes since version 4.1. Room in the buffer for sending would be no measure: a full buffer
    may take some more bytes although the peer has taken none.
    """
    if not hasattr(socket, "TCP_INFO"):
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    except OSError:
        return None  # It is no TCP socket, or it is closed.
    if len(info) < _TCP_INFO.size:
        return None
    segments, acknowledged, unsent = _TCP_INFO.unpack(info)
    # The answer to a handshake has been acknowledged on every connection that is in use. Systems that imitate Linux
    # leave the counter at zero.
    return SendProgress(acknowledged, bool(segments or unsent)) if acknowledged else None


def count_unacknowledged(sock: Any) -> int:
    """Return the number of bytes that the kernel holds for the peer; 0 if it is unknown.

    The number shows progress earlier than room in the kernel's buffer does: a slow peer takes many bytes of a large
    buffer before there is room.
    """
    if _TIOCOUTQ is None:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), _TIOCOUTQ, bytes(4)), sys.byteorder)
    except (OSError, ValueError):
        return 0  # The socket is closed.
