"""What the test modules of the Django side share: a view, and a browser's handshake as a server would hand it on."""

from django.http import HttpResponse

OURS = "django_websocket.middleware.WebSocketMiddleware"

VERSIONS = [13, 8, 7, 76, 75]

#: RFC 6455's own example, as a WSGI server puts it into its environ.
HANDSHAKE = {
    "HTTP_HOST": "testserver",
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
}

#: The example of draft 76; its other eight bytes follow the request.
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


def plain(request):
    """A view that is not marked."""
    return HttpResponse("plain")
