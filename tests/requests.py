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

_NODE_8 = (
    "GET /echo/ HTTP/1.1\r\n"
    "Connection: Upgrade\r\n"
    "Upgrade: websocket\r\n"
    "Host: %(host)s\r\n"
    "Origin: %(host)s\r\n"
    "Sec-WebSocket-Version: 8\r\n"
    "Sec-WebSocket-Key: OC0xNzk1ODM2MDU4OTgz\r\n"
)
#: What clients of 2010 to 2015 send to ``%(host)s``, byte by byte: the first websocket-client of Python over hixie-76
#: (``KEY3`` follows), and the first ws of Node over the versions 8 and 13.
OLD_CLIENTS = {
    "python-76": (
        "GET /echo/ HTTP/1.1\r\n"
        "Upgrade: WebSocket\r\n"
        "Connection: Upgrade\r\n"
        "Host: %(host)s\r\n"
        "Origin: %(host)s\r\n"
        f"Sec-WebSocket-Key1: {HIXIE76['HTTP_SEC_WEBSOCKET_KEY1']}\r\n"
        f"Sec-WebSocket-Key2: {HIXIE76['HTTP_SEC_WEBSOCKET_KEY2']}\r\n"
        "\r\n"
    ),
    "node-8": f"{_NODE_8}\r\n",
    "node-8-origin": f"{_NODE_8}Sec-WebSocket-Origin: %(origin)s\r\n\r\n",
    "node-13": (
        "GET /echo/ HTTP/1.1\r\n"
        "Connection: Upgrade\r\n"
        "Upgrade: websocket\r\n"
        "Host: %(host)s\r\n"
        "Origin: %(host)s\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MTMtMTc5NTgzNjA1ODk4Mw==\r\n"
        "\r\n"
    ),
}
#: How the answer begins that each of them waits for.
OLD_ANSWERS = {
    "python-76": (
        "HTTP/1.1 101 WebSocket Protocol Handshake\r\n"
        "Upgrade: WebSocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Location: %(url)s\r\n"
        "Sec-WebSocket-Origin: %(host)s\r\n"
        "\r\n"
        f"{RESPONSE76.decode()}"
    ),
    **dict.fromkeys(
        ("node-8", "node-8-origin"),
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Accept: yPZlZeAgWzW3zjnQ8/27avJykrM=\r\n"
        "\r\n",
    ),
    "node-13": (
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Accept: V5FwtwL5BJs/vL4VmONv7HaxNw4=\r\n"
        "\r\n"
    ),
}


def attempt(path="/echo/", environ=HANDSHAKE, *, method="GET", connection=None, **changes):
    """Send a handshake through Django's own client, and return the response; ``None`` leaves an entry out.

    Nothing checks the handshake on the way, and the connection below it has no socket.
    """
    environ = {**environ, ENVIRON_KEY: connection or RefusedConnection(), **changes}
    environ = {name: value for name, value in environ.items() if value is not None}
    return Client(raise_request_exception=False).generic(method, path, **environ)
