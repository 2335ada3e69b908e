"""Transports: waiting, timeouts and locks for the sockets of threads, TLS, eventlet and gevent.

:func:`open_transport` chooses one, and other folders need not distinguish them. The transport of the test client is
in :mod:`django_websocket.testing`.

* A plain socket under threads stays blocking, and its reads time out in the kernel (``SO_RCVTIMEO``). A read
  with the default timeout is one system call, except in the main thread, and so is a write for which the kernel has
  room.
* Every other socket is non-blocking, and its transport polls it, or waits at the hub of its greenlets. On a TLS socket
  the timeouts of the kernel have no effect, and a blocking read of one thread would keep another from writing.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any, Final

from .base import READ_SIZE, Bell, Lock, Mutex, TimedOut, Transport, is_interruption
from .green import GreenTransport
from .green_library import GreenLibrary
from .progress import SendProgress
from .sockets import BlockingTransport, NonBlockingTransport

__all__ = [
    "READ_SIZE",
    "Bell",
    "Lock",
    "Mutex",
    "SendProgress",
    "TimedOut",
    "Transport",
    "is_interruption",
    "is_tls",
    "open_transport",
]

_HAS_KERNEL_TIMEOUTS: Final = sys.platform in {"linux", "darwin"}


def open_transport(sock: Any, default_timeout: float | None) -> Transport:
    """Return the transport for the socket of a server; if ``sock`` is a transport itself, it is returned.

    ``default_timeout`` becomes its :attr:`Transport.default_timeout`.
    """
    if isinstance(sock, Transport):
        sock.default_timeout = default_timeout
        return sock
    kind: type = type(sock)
    library = _green_library_of(kind)
    if library is not None and (pair := library.unwrap(sock)):
        waiter = None if is_tls(sock) else library.waiter(sock)
        return GreenTransport(*pair, default_timeout, library, waiter)
    if is_tls(sock) or not _HAS_KERNEL_TIMEOUTS:
        return NonBlockingTransport(sock, sock, default_timeout)
    return BlockingTransport(sock, default_timeout)


def is_tls(sock: Any) -> bool:
    """Return whether a socket is a TLS socket, of :mod:`ssl` or of a green library."""
    return hasattr(sock, "do_handshake")


@lru_cache
def _green_library_of(kind: type) -> GreenLibrary | None:
    """Return the green library that defines a class of sockets or one of its bases, ``None`` if none does.

    A library is imported only for a class of its own, hence only where the server has imported the library already.
    """
    libraries = {base.__module__.partition(".")[0] for base in kind.__mro__}
    if "eventlet" in libraries:
        from .eventlet import Eventlet

        return Eventlet()
    if "gevent" in libraries:
        from .gevent import Gevent

        return Gevent()
    return None
