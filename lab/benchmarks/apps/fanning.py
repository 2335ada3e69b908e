"""The bare loop that publishing is compared with: the same frame to the same sockets, and nothing else."""

import _socket
from contextlib import contextmanager

from lab.benchmarks.frames import server_frame


@contextmanager
def bare(descriptors):
    """Return a function that sends a message to the sockets behind descriptors, by one system call for each.

    The sockets are those of the system, below any that a green library puts around them.
    """
    socks = [_socket.socket(fileno=descriptor) for descriptor in descriptors]

    def send(message):
        frame = server_frame(message.encode())
        for sock in socks:
            sock.send(frame)

    try:
        yield send
    finally:
        for sock in socks:
            sock.detach()
