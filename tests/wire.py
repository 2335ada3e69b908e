"""The bytes of a WebSocket between a client and a project: the whole of Django serves them, over a pair of sockets."""

import socket

from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory

from django_websocket.protocols.base import State
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.servers import ENVIRON_KEY

from .connections import FakeConnection
from .requests import HANDSHAKE

#: A client's Close with code 1000.
GOODBYE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"

#: The answer to the handshake that is the example of RFC 6455.
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"\r\n"
)

#: The server's Close frames by their codes.
CLOSE = {code: b"\x88\x02" + code.to_bytes(2, "big") for code in (1000, 1011)}


def frames(*messages):
    """Return what a client sends on an open connection."""
    protocol = RFC6455(Request(), client=True)
    protocol.state = State.OPEN
    for message in messages:
        protocol.send(message)
    return protocol.data_to_send()


def texts(*messages):
    """Return the server's frames of short text messages."""
    return b"".join(b"\x81%c%b" % (len(message), message) for message in messages)


class EnvironFactory(RequestFactory):
    """Makes the environ of a request instead of the request."""

    def request(self, **request):
        return self._base_environ(**request)


class Wire:
    """Serves requests as a WSGI server would, each over a pair of sockets."""

    def __init__(self):
        self._sockets = []
        #: The connection of the last request.
        self.connection = None
        #: What the server would have written of the response to it.
        self.body = b""

    def __call__(self, path="/echo/", ahead=b"", later=b"", environ=HANDSHAKE, *, close=True, iterate=True, **changes):
        """Serve a request, and return the bytes that the client gets.

        The server has read ``ahead`` behind the request; ``later`` comes afterwards, before the client's end of stream.
        """
        ours, theirs = socket.socketpair()
        self._sockets.extend((ours, theirs))
        theirs.sendall(later)
        theirs.shutdown(socket.SHUT_WR)
        self.connection = FakeConnection(ours, ahead)
        environ = EnvironFactory().get(path, **{**environ, ENVIRON_KEY: self.connection, **changes})
        response = WSGIHandler()(environ, lambda status, headers, exc_info=None: None)
        self.body = b"".join(response) if iterate else b""
        if close:
            response.close()
        if self.body:
            # The server has written a response, and closes the connection, as it reads nothing more from it.
            ours.shutdown(socket.SHUT_WR)
        with theirs.makefile("rb") as stream:
            return stream.read()

    def close(self):
        """Close the sockets."""
        for sock in self._sockets:
            sock.close()
