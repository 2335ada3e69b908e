"""Reading from a socket as a server has left it, blocking or not."""

import ssl

from django_websocket.transports.sockets import wait_for

#: Seconds that tests wait for events that come at once, unless something is broken.
PATIENCE = 10


def arrived(sock):
    """Wait until something has come for a socket."""
    wait_for(sock, write=False, timeout=PATIENCE)


def receive(sock, size):
    """Read what has come, as a transport does; the socket may be non-blocking."""
    data = bytearray()
    while len(data) < size:
        try:
            part = sock.recv(size - len(data))
        except (BlockingIOError, ssl.SSLWantReadError):
            arrived(sock)
            continue
        assert part
        data += part
    return bytes(data)
