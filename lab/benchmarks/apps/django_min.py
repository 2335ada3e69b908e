"""The least that a WebSocket in a view of Django can be: ``lab.benchmarks.apps.django_min:application``.

It answers the handshake, echoes frames, and answers pings and Close. It checks nothing, and knows no limits and no
timeouts. What opening a connection costs beyond this is the package's own.
"""

import base64
import hashlib
import socket

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

from lab.benchmarks import frames

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    LOGGING_CONFIG=None,
    MIDDLEWARE=[],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret",
)
django.setup()

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Answered(HttpResponse):
    """A response that gunicorn does not write, because the view has answered."""

    def __iter__(self):
        # gunicorn takes this for a client that has gone.
        raise StopIteration


def take_socket(environ):
    """Return the socket, and a response that the server does not write."""
    if "gunicorn.socket" in environ:
        return environ["gunicorn.socket"], Answered()
    import eventlet.wsgi

    eventlet.wsgi.WSGI_LOCAL.already_handled = True
    return environ["eventlet.input"].get_socket(), HttpResponse()


def echo(request):
    sock, answered = take_socket(request.environ)
    sock.setblocking(True)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = request.headers["Sec-WebSocket-Key"].encode()
    accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    sock.sendall(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    data = b""
    while chunk := sock.recv(1 << 16):
        data += chunk
        while (size := frames.frame_size(data)) is not None and len(data) >= size:
            start = 6 + {254: 2, 255: 8}.get(data[1], 0)
            payload = frames.apply_mask(data[start:size])
            opcode = data[0] & 0x0F
            # Fragments are echoed as fragments.
            first = frames.FIN | frames.PONG if opcode == frames.PING else data[0]
            sock.sendall(bytes((first,)) + frames.header(size - start, masked=False)[1:] + payload)
            if opcode == frames.CLOSE:
                return answered
            data = data[size:]
    return answered


urlpatterns = [path("echo", echo)]
application = get_wsgi_application()
