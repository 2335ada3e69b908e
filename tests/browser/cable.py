"""The way between a browser and a server, which can be interrupted."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from lab.servers import HOST, PATIENCE

#: Bytes that are passed on at a time.
SIZE = 65536


class Cable:
    """A port of its own, whose connections lead to a server: closed by :meth:`cut`, silent by :meth:`block`."""

    def __init__(self, port: Callable[[], int]) -> None:
        """Listen; ``port`` returns the port of the server, which may be another one after each start."""
        self._port_of_server = port
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._is_cut = False
        self._passes = threading.Event()
        self._passes.set()
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close all connections, and refuse new ones, until :meth:`mend`."""
        with self._lock:
            self._is_cut = True
            for sock in self._sockets:
                _end(sock)
        self._passes.set()

    def block(self) -> None:
        """Pass nothing on, on any connection, until :meth:`mend` or :meth:`cut`."""
        self._passes.clear()

    def mend(self) -> None:
        """Let everything pass again."""
        with self._lock:
            self._is_cut = False
        self._passes.set()

    def close(self) -> None:
        """End everything."""
        self.cut()
        _end(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((HOST, self._port_of_server()), PATIENCE)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            self._sockets |= {client, server}
            if self._is_cut:
                _end(client)
                _end(server)
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        with self._lock:
            self._sockets -= {client, server}
        client.close()
        server.close()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        """Pass on what comes from one side; its end as well."""
        with contextlib.suppress(OSError):
            while data := source.recv(SIZE):
                self._passes.wait()
                target.sendall(data)
        _end(source, socket.SHUT_RD)
        _end(target, socket.SHUT_WR)


def _end(sock: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(how)
