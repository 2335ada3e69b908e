"""Connections of the load client, which are opened, checked and closed one at a time, by blocking calls."""

from __future__ import annotations

import itertools
import socket
from dataclasses import dataclass
from typing import Final

from . import frames

#: Seconds that a step outside of the window may take.
PATIENCE: Final = 20.0
#: Addresses to connect from. Each has 28 thousand ports for clients, and a port is blocked for a minute after use.
_SOURCES: Final = itertools.cycle(f"127.0.{net}.{host}" for host in range(1, 200) for net in (1, 2))
#: IP_BIND_ADDRESS_NO_PORT of Linux: the port is chosen when the socket connects, so that two addresses may use the
#: same. Python has no name for it before 3.12.
_BIND_ADDRESS_NO_PORT: Final = 24
#: The first byte of a ping. A masked frame of a client, which a raw server echoes, begins with another one.
_PING: Final = bytes((frames.FIN | frames.PING,))


class LoadError(Exception):
    """The server made a mistake, so that a figure would mean nothing."""


@dataclass(frozen=True)
class Target:
    """A server under load."""

    port: int
    #: The path at which it echoes messages; empty: it echoes bytes, without a handshake.
    path: str = ""
    host: str = "127.0.0.1"

    @property
    def raw(self) -> bool:
        """Whether the server echoes bytes, without a protocol."""
        return not self.path

    @property
    def request(self) -> bytes:
        """The opening handshake. When handshakes are measured, a raw server receives it too, and echoes it."""
        return frames.handshake(self.host, self.port, self.path or "/")

    def reply(self, payload: bytes) -> bytes:
        """Return the bytes that must come back for the client's frame of ``payload``."""
        return frames.client_frame(payload) if self.raw else frames.server_frame(payload)

    def dial(self, *, receive_buffer: int = 0) -> socket.socket:
        """Return a connected, blocking socket.

        ``receive_buffer`` is the size in bytes of the kernel's buffer for what arrives; 0: the kernel chooses.

        :raises LoadError: the connection failed.
        """
        sock = socket.socket()
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            if receive_buffer:
                # The size limits the window of TCP only if it is set before the socket connects.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.bind((next(_SOURCES), 0))
            sock.connect((self.host, self.port))
        except OSError as error:
            sock.close()
            raise LoadError(f"no connection: {error}") from error
        return sock

    def open(self, *, receive_buffer: int = 0) -> socket.socket:
        """Return an open connection; ``receive_buffer`` as for :meth:`dial`.

        :raises LoadError: the connection or the handshake failed.
        """
        sock = self.dial(receive_buffer=receive_buffer)
        if self.raw:
            return sock
        sock.settimeout(PATIENCE)
        try:
            sock.sendall(self.request)
            data = b""
            while (rest := frames.after_handshake(data)) is None:
                if not (chunk := sock.recv(4096)):
                    raise LoadError("the server hung up in the handshake")
                data += chunk
            if rest:
                raise LoadError("the server sent something of its own")
        except (OSError, ValueError) as error:
            sock.close()
            raise LoadError(str(error)) from error
        return sock

    def echo(self, sock: socket.socket, payload: bytes) -> None:
        """Send a message, check that it comes back, and answer the pings that come before.

        :raises LoadError: it does not come back.
        """
        sock.settimeout(PATIENCE)
        expected = self.reply(payload)
        try:
            sock.sendall(frames.client_frame(payload))
            got = bytearray()
            while len(got) < len(expected) and (chunk := sock.recv(1 << 16)):
                got += chunk
                while got[:1] == _PING and (size := frames.frame_size(bytes(got))) is not None and len(got) >= size:
                    sock.sendall(frames.client_frame(bytes(got[2:size]), frames.PONG))
                    del got[:size]
        except OSError as error:
            raise LoadError(f"no echo of {len(payload)} bytes: {error}") from error
        if got != expected:
            raise LoadError(f"a wrong echo of {len(payload)} bytes: {bytes(got[:40])!r}")

    def close(self, socks: list[socket.socket]) -> None:
        """Close connections properly: send Close on all of them, then wait for the end of each stream."""
        for sock in socks:
            sock.settimeout(PATIENCE)
            try:
                if self.raw:
                    sock.shutdown(socket.SHUT_WR)
                else:
                    sock.sendall(frames.CLOSE_FRAME)
            except OSError:
                continue
        for sock in socks:
            try:
                while sock.recv(1 << 16):
                    pass
            except OSError:
                pass
            sock.close()
