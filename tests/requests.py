"""Handshakes as a WSGI server passes them on, and requests that carry them."""

from django.test import Client

from django_websocket.servers import ENVIRON_KEY

from .connections import RefusedConnection

#: The example of RFC 6455 (section 1.3), as a WSGI server puts it into its environ.
HANDSHAKE = {
    "HTTP_HOST": "testserver",
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
}

#: The example of draft 76, whose other eight bytes, ``KEY3``, follow the request.
HIXIE76 = {
    "HTTP_HOST": "testserver",
    "HTTP_UPGRADE": "WebSocket",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_ORIGIN": "http://testserver",
    "HTTP_SEC_WEBSOCKET_KEY1": "18x 6]8vM;54 *(5:  {   U1]8  z [  8",
    "HTTP_SEC_WEBSOCKET_KEY2": "1_ tx7X d  <  nw  334J702) 7]o}` 0",
}
KEY3 = b"Tm[K T2u"
RESPONSE76 = b"fQJ,fN/4F4!~K~MH"


def attempt(path="/echo/", environ=HANDSHAKE, *, method="GET", connection=None, **changes):
    """Send a handshake through Django's own client, and return the response; ``None`` leaves an entry out.

    Nothing checks the handshake on the way, and the connection below it has no socket.
    """
    environ = {**environ, ENVIRON_KEY: connection or RefusedConnection(), **changes}
    environ = {name: value for name, value in environ.items() if value is not None}
    return Client(raise_request_exception=False).generic(method, path, **environ)
