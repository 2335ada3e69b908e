"""What the doctor talks to in the tests: a server on a socket that does what the test says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django_websocket.doctor.addresses import Address
from django_websocket.exceptions import ConnectionClosed
from django_websocket.protocols import choose
from django_websocket.protocols.base import State
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455

HOST = "127.0.0.1"
#: Seconds that a peer waits for the doctor, which never takes as long.
PATIENCE = 10

#: How a handshake of TLS begins, which no peer here takes.
_TLS = b"\x16"

Handler = Callable[[socket.socket, bytes], None]


@contextmanager
def peer(handle: Handler) -> Iterator[Address]:
    """Call ``handle`` with the socket and the head of the request of each connection; return the address."""
    ended = threading.Event()
    with socket.create_server((HOST, 0), backlog=16) as listener:

        def accept() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                if ended.is_set():
                    sock.close()
                    return
                threads.append(threading.Thread(target=serve, args=(sock,), daemon=True))
                threads[-1].start()

        def serve(sock: socket.socket) -> None:
            sock.settimeout(PATIENCE)
            with sock:
                head = b""
                try:
                    while b"\r\n\r\n" not in head and (data := sock.recv(4096)):
                        head += data
                        if head.startswith(_TLS):
                            return
                    if head:
                        handle(sock, head)
                except (OSError, ConnectionClosed):
                    pass

        threads = [threading.Thread(target=accept, daemon=True)]
        threads[0].start()
        port = listener.getsockname()[1]
        try:
            yield Address(False, HOST, port, "/room/")
        finally:
            ended.set()
            socket.create_connection((HOST, port), timeout=PATIENCE).close()
            for thread in threads:
                thread.join(PATIENCE)


def fields_of(head: bytes) -> dict[str, str]:
    """Return the header fields of a request by lower-case name."""
    lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def says(answer: str) -> Handler:
    """Return a handler that answers each request with the same text, and hangs up."""

    def handle(sock: socket.socket, _: bytes) -> None:
        sock.sendall(answer.replace("\n", "\r\n").encode("latin-1"))

    return handle


def refuses(status: int, body: str = "", *headers: str, kind: str = "text/plain") -> Handler:
    """Return a handler that refuses each request."""
    lines = [f"HTTP/1.1 {status} Some Reason", f"Content-Length: {len(body)}", f"Content-Type: {kind}", *headers]
    return says("\n".join(lines) + "\n\n" + body)


def by_request(websocket: Handler, plain: Handler) -> Handler:
    """Return a handler that takes handshakes to one, and plain requests to another."""
    return lambda sock, head: (websocket if "upgrade" in fields_of(head) else plain)(sock, head)


def opens(behave: Callable[[socket.socket, RFC6455], None] = lambda *_: None) -> Handler:
    """Return a handler that opens a WebSocket of any version, calls ``behave`` with it, and sends back each message."""

    def handle(sock: socket.socket, head: bytes) -> None:
        head, _, rest = head.partition(b"\r\n\r\n")
        fields = fields_of(head + b"\r\n\r\n")
        target = head.split()[1].decode()
        request = Request(fields, "GET", target, fields["host"], False, (1, 1))
        protocol = choose(request, (RFC6455, Hixie76, Hixie75))
        protocol.accept()
        while protocol.state is not State.OPEN:
            rest = rest or sock.recv(4096)
            protocol.receive(rest)
            rest = b""
        sock.sendall(protocol.data_to_send())
        behave(sock, protocol)  # type: ignore[arg-type]
        while protocol.state is State.OPEN:
            for message in protocol.receive(sock.recv(65536)):
                protocol.send(message)
            sock.sendall(protocol.data_to_send())

    return handle
