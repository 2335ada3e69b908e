"""Settings of gunicorn: its connections have small send buffers, so that a client that does not read is soon noticed.

Otherwise the system takes megabytes for each of them.
"""

from __future__ import annotations

import socket
from typing import Any, Final

#: Bytes; the system doubles them.
SIZE: Final = 16384


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn calls it so.
    """Set the size of the listening sockets of a worker, from which accepted ones inherit it."""
    for listener in worker.sockets:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SIZE)
