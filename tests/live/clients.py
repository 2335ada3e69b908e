"""Clients: one for exact bytes, and one for the versions that no other client speaks any more."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from typing import Any

from websockets.frames import Frame, Opcode

from django_websocket.protocols import Protocol, Request, State

from ..promptness import promptly

# RFC 6455 section 1.3
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def handshake(server, path: str, headers: dict[str, str | None] | None = None, method: str = "GET") -> bytes:
    """Return the bytes of an opening handshake; a header that is ``None`` is left out."""
    fields = {
        "Host": server.host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        "Origin": server.origin,
        **(headers or {}),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


def get(server, path: str) -> bytes:
    """Return the bytes of a plain request."""
    return f"GET {path} HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode()


def frame(payload: str | bytes, opcode: Opcode | None = None) -> bytes:
    """Return the bytes of a client's frame."""
    if opcode is None:
        opcode = Opcode.TEXT if isinstance(payload, str) else Opcode.BINARY
    data = payload.encode() if isinstance(payload, str) else payload
    return Frame(opcode, data).serialize(mask=True)


def close_frame(code: int | None = 1000, reason: str = "") -> bytes:
    return frame(b"" if code is None else struct.pack("!H", code) + reason.encode(), Opcode.CLOSE)


class Raw:
    """A connection, byte by byte."""

    def __init__(self, server, timeout: float = 10.0) -> None:
        self.server = server
        self.sock = server.connect(timeout)
        self._buffer = b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    # Bytes

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"the connection has ended behind {self._buffer[:200]!r}")
        self._buffer += data

    def until(self, end: bytes) -> bytes:
        """Read up to and with ``end``."""
        while end not in self._buffer:
            self._more()
        before, _, self._buffer = self._buffer.partition(end)
        return before + end

    def exactly(self, size: int) -> bytes:
        pieces, missing = [self._buffer], size - len(self._buffer)
        while missing > 0:
            data = self.sock.recv(min(missing, 1 << 20))
            if not data:
                raise EOFError(f"{missing} bytes are missing")
            pieces.append(data)
            missing -= len(data)
        data = b"".join(pieces)
        self._buffer = data[size:]
        return data[:size]

    def rest(self, timeout: float = 10.0) -> bytes:
        """Read to the end of the stream, which has to come within ``timeout`` seconds; resetting it is no end."""
        self.sock.settimeout(timeout)
        pieces = [self._buffer]
        self._buffer = b""
        while data := self.sock.recv(65536):
            pieces.append(data)
        return b"".join(pieces)

    def rest_promptly(self) -> bytes:
        """Read to the end of the stream, which has to come at once."""
        with promptly():
            return self.rest()

    def unread(self) -> int:
        """Return the number of bytes that have arrived and were not read."""
        return struct.unpack("i", fcntl.ioctl(self.sock, termios.FIONREAD, bytes(4)))[0]

    def half_close(self) -> None:
        """Say that nothing more is sent, below TLS where there is any."""
        socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def reset(self) -> None:
        """Vanish as a crashed machine's system says it: with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # HTTP

    def response(self) -> tuple[int, dict[str, str], bytes]:
        """Read a response that has to be complete: status, header fields (lower case), body."""
        head = self.until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if "content-length" in headers:
            body = self.exactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rest()
        return int(first.split(" ")[1]), headers, body

    def _chunk(self) -> bytes:
        chunk = self.exactly(int(self.until(b"\r\n"), 16))
        assert self.exactly(2) == b"\r\n"
        return chunk

    # WebSocket

    def open(self, path: str, headers: dict[str, str | None] | None = None, early: bytes = b"") -> dict[str, str]:
        """Open a WebSocket; ``early`` bytes go in the handshake's own segment."""
        self.send(handshake(self.server, path, headers) + early)
        return self.accepted()

    def accepted(self) -> dict[str, str]:
        head = self.until(b"\r\n\r\n").decode()
        first, *lines = head[:-4].split("\r\n")
        assert first == "HTTP/1.1 101 Switching Protocols", head
        headers = dict(line.split(": ") for line in lines)
        assert headers["Sec-WebSocket-Accept"] == ACCEPT
        return headers

    def send_frame(self, payload: str | bytes, opcode: Opcode | None = None) -> None:
        self.send(frame(payload, opcode))

    def frame(self) -> tuple[int, bytes]:
        """Read a server's frame, which has to be whole, final and unmasked: opcode and payload."""
        first, size = self.exactly(2)
        assert first & 0xF0 == 0x80, hex(first)
        assert size < 0x80, "a server's frame is masked"
        if size > 125:
            size = int.from_bytes(self.exactly(2 if size == 126 else 8), "big")
        return first & 0x0F, self.exactly(size)

    def message(self) -> str | bytes:
        """Read a message."""
        opcode, payload = self.frame()
        assert opcode in {Opcode.TEXT, Opcode.BINARY}, (opcode, payload)
        return payload.decode() if opcode == Opcode.TEXT else payload

    def closing(self) -> tuple[int, str]:
        """Read a Close frame: code and reason."""
        opcode, payload = self.frame()
        assert opcode == Opcode.CLOSE, (opcode, payload)
        return int.from_bytes(payload[:2], "big") if payload else 1005, payload[2:].decode()

    def over(self) -> None:
        """See that not one byte comes any more, and that the end of the stream does, promptly."""
        assert self.rest_promptly() == b""

    def end(self, code: int | None = 1000, reason: str = "") -> None:
        """Close from our side, and see that all goes as it has to."""
        self.send(close_frame(code, reason))
        assert self.closing() == (1005 if code is None else code, "")
        self.over()

    def answer_close(self) -> tuple[int, str]:
        """Read the server's Close, answer it, and see that all goes as it has to."""
        code, reason = self.closing()
        self.send(close_frame(code))
        self.over()
        return code, reason


class Old:
    """A client of any version, by the client side of this package's own protocols."""

    def __init__(self, server, path: str, protocol: type[Protocol], version: int) -> None:
        secure = server.tls is not None
        request = Request({"origin": server.origin}, target=path, host=server.host, secure=secure)
        self.protocol = protocol(request, client=True, version=version)
        self.sock = server.connect()
        self.messages: list[Any] = []
        self.protocol.connect()
        self.flush()
        while self.protocol.state is State.CONNECTING:
            self._receive()
        assert self.protocol.state is State.OPEN, self.protocol.error

    def __enter__(self) -> Old:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    def flush(self) -> None:
        if data := self.protocol.data_to_send():
            self.sock.sendall(data)

    def _receive(self) -> None:
        self.messages += self.protocol.receive(self.sock.recv(65536))
        self.flush()

    def ask(self, message: str) -> Any:
        """Send a message and give the one that comes next."""
        self.protocol.send(message)
        self.flush()
        return self.next()

    def next(self) -> Any:
        while not self.messages and self.protocol.state is not State.CLOSED:
            self._receive()
        return self.messages.pop(0) if self.messages else None

    def ended(self) -> None:
        """Read on until the server has closed."""
        while self.protocol.state is not State.CLOSED:
            self._receive()
        self._over()

    def close(self) -> None:
        """Close, as a browser of the version does."""
        self.protocol.close()
        self.flush()
        if self.protocol.version == 75:
            self.sock.shutdown(socket.SHUT_WR)
        self.ended()

    def _over(self) -> None:
        with promptly():
            assert self.sock.recv(1) == b""
