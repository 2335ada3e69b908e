"""The limit for a server in Python: it sends back the same bytes, without a protocol.

``python -m lab.benchmarks.apps.raw MODEL each|split PORT``: ``each`` sends what one ``recv`` returned, ``split`` sends
every message by itself, as a server must that answers messages one by one.
"""

from __future__ import annotations

import socket
import sys
import threading
from typing import Any

from lab.benchmarks.frames import frame_size

ADDRESS = "127.0.0.1"
BACKLOG = 4096
ROOM = 20_000


def echo_each(conn: Any, _address: Any = None) -> None:
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while data := conn.recv(65536):
            conn.sendall(data)
    except ConnectionError:
        pass
    finally:
        conn.close()


def echo_split(conn: Any, _address: Any = None) -> None:
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    size = 0
    try:
        while data := conn.recv(65536):
            # All frames of the load client have the same size.
            size = size or frame_size(data) or len(data)
            for start in range(0, len(data), size):
                conn.sendall(data[start : start + size])
    except ConnectionError:
        pass
    finally:
        conn.close()


def threads(echo: Any, port: int) -> None:
    server = socket.create_server((ADDRESS, port), backlog=BACKLOG)
    while True:
        conn, _ = server.accept()
        threading.Thread(target=echo, args=(conn,), daemon=True).start()


def eventlet(echo: Any, port: int) -> None:
    import eventlet

    eventlet.serve(eventlet.listen((ADDRESS, port), backlog=BACKLOG), echo, concurrency=ROOM)


def gevent(echo: Any, port: int) -> None:
    from gevent.server import StreamServer

    StreamServer((ADDRESS, port), echo, backlog=BACKLOG).serve_forever()


if __name__ == "__main__":
    model, how, number = sys.argv[1:]
    serve = {"threads": threads, "eventlet": eventlet, "gevent": gevent}[model]
    serve({"each": echo_each, "split": echo_split}[how], int(number))
