# ruff: noqa: RET503 - the views are kept as they are in the documentation
"""Views and handshakes for the tests of the Django side. The handshakes are in the form of a WSGI environ."""

from django.http import HttpResponse

from django_websocket import accept_websocket, require_websocket

OURS = "django_websocket.middleware.WebSocketMiddleware"

VERSIONS = [13, 8, 7, 76, 75]

#: The example of RFC 6455, as a WSGI server puts it into its environ.
HANDSHAKE = {
    "HTTP_HOST": "testserver",
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
}

#: The example of draft 76. Its last eight bytes, KEY3, follow the headers.
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


# The three views of the documentation of 2010, unchanged.


@require_websocket
def echo_once(request):
    message = request.websocket.wait()
    request.websocket.send(message)


@accept_websocket
def lower_case(request):
    if not request.is_websocket():
        return HttpResponse(request.GET["message"].lower())
    for message in request.websocket:
        request.websocket.send(message.lower())


@accept_websocket
def add_one(request):
    if request.is_websocket():
        for message in request.websocket:
            request.websocket.send(int(message) + 1)
    else:
        return HttpResponse(int(request.GET["value"]) + 1)


def plain(request):
    """Return a page; this view is not marked as one that takes WebSockets."""
    return HttpResponse("plain")
