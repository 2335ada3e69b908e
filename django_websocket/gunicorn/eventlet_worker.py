"""gunicorn's worker on eventlet; see :mod:`django_websocket.gunicorn`.

This module does not import Django, because the standard library has to be patched first.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from types import FrameType
from typing import Any, Final

import eventlet
from eventlet import hubs
from eventlet.greenio import GreenSocket
from eventlet.semaphore import Semaphore
from gunicorn.sock import ssl_wrap_socket
from gunicorn.workers.base_async import AsyncWorker

#: Seconds between two checks of whether the worker is to end, and between two heartbeats to gunicorn.
_POLL_INTERVAL: Final = 0.25
#: Seconds without accepting after an error, such as a process without free descriptors.
_ACCEPT_PAUSE: Final = 0.5
#: Seconds that a TLS handshake may take.
_TLS_TIMEOUT: Final = 10


class EventletWorker(AsyncWorker):  # type: ignore[misc]
    """Serves each connection in a greenlet of eventlet, at most ``worker_connections`` of them at a time.

    Further connections wait in the listen backlog. The standard library is patched before the application is imported;
    with ``--preload`` it is patched afterwards.
    """

    def init_process(self) -> None:
        """Prepare the process, and serve."""
        # Until gunicorn sets the handlers of the worker, those inherited from the arbiter are in force, which only
        # queue a signal for the arbiter's loop. A signal during the patching, which takes a while, would be lost.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self.handle_exit)
        hubs.use_hub()
        eventlet.monkey_patch()
        super().init_process()

    # The handlers that may wait are run in a greenlet: the signal may have interrupted the hub, which must not wait.

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """End the worker at once."""
        eventlet.spawn_n(super().handle_quit, sig, frame)

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        """Reopen the log files."""
        eventlet.spawn_n(super().handle_usr1, sig, frame)

    def timeout_ctx(self) -> Any:
        """Return the time limit for the next request of a connection."""
        return eventlet.Timeout(self.cfg.keepalive or None, False)

    def run(self) -> None:
        """Serve until the worker is to end, and wait for the end of its connections, at most ``graceful_timeout``."""
        pool = eventlet.GreenPool(self.worker_connections)
        # GreenPool can wait for room only while it starts a greenlet. The semaphore waits for room before a connection
        # is accepted.
        room = Semaphore(self.worker_connections)
        # The descriptor is moved from gunicorn's socket object to a GreenSocket: after the patching, accept() of that
        # object would return a GreenSocket, which eventlet would wrap in another one.
        listeners = [GreenSocket(listener.FAMILY, fileno=listener.sock.detach()) for listener in self.sockets]
        acceptors = [eventlet.spawn(self._accept, listener, pool, room) for listener in listeners]
        while self.alive:
            self._send_heartbeat()
            eventlet.sleep(_POLL_INTERVAL)
        for acceptor in acceptors:
            acceptor.kill()
        for listener in listeners:
            listener.close()
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while pool.running() and time.monotonic() < deadline:
            self._send_heartbeat()
            eventlet.sleep(_POLL_INTERVAL)
        if pool.running():
            self.log.warning("Worker graceful timeout (pid:%s)", self.pid)

    def _send_heartbeat(self) -> None:
        self.notify()
        if self.ppid != os.getppid():
            self.log.info("Parent changed, shutting down: %s", self)
            self.alive = False

    def _accept(self, listener: GreenSocket, pool: eventlet.GreenPool, room: Semaphore) -> None:
        """Accept connections while there is room for them."""
        while True:
            room.acquire()
            try:
                sock, address = listener.accept()
            except OSError as error:
                room.release()
                if error.errno == errno.ECONNABORTED:
                    continue
                self.log.warning("Cannot accept a connection: %s", error)
                eventlet.sleep(_ACCEPT_PAUSE)
            else:
                pool.spawn_n(self._serve, listener, sock, address, room)

    def _serve(self, listener: GreenSocket, sock: Any, address: Any, room: Semaphore) -> None:
        """Serve a connection until it ends."""
        try:
            if self.cfg.is_ssl:
                try:
                    with eventlet.Timeout(_TLS_TIMEOUT, TimeoutError()):
                        sock = ssl_wrap_socket(sock, self.cfg)
                        sock.do_handshake()
                except OSError as error:
                    self.log.debug("TLS handshake failed: %s", error)
                    sock.close()
                    return
            self.handle(listener, sock, address)
        finally:
            room.release()
