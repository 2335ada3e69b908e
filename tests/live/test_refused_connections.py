"""The end of a refused connection, whatever becomes of its response: no further request is executed or answered."""

import pytest

from lab.kinds import KINDS, TLS_KINDS
from lab.servers import eventually

from .clients import Raw, get, handshake
from .parameters import param

pytestmark = pytest.mark.live

OURS = "django_websocket.middleware.WebSocketMiddleware"
#: Middleware that replaces a refusal: by a page, and by a 304.
OTHERS = ["lab.project.middleware.show_page", "django.middleware.http.ConditionalGetMiddleware"]

#: The places of our middleware. Without it, the decorators do what they can.
PLACES = {
    "first": {"middleware": True, "MIDDLEWARE": [OURS, *OTHERS]},
    "last": {"middleware": True, "MIDDLEWARE": [*OTHERS, OURS]},
    "bare": {"middleware": False, "MIDDLEWARE": [OURS, *OTHERS]},
}
EVIL = {"Origin": "http://evil.example"}
MALFORMED = {"Sec-WebSocket-Key": "short"}
NOT_MODIFIED = {"If-None-Match": "*"}

#: The addresses, the header fields, and the answers.
REFUSALS = {
    "page": ("/log_in_first/{}/", {}, 200, b"log in first"),
    "304": ("/log_in_first/{}/", NOT_MODIFIED, 304, b""),
    "origin": ("/echo/{}/", EVIL, 403, b"<h1>Forbidden</h1>"),
    "malformed": ("/echo/{}/", MALFORMED, 400, b"<h1>Bad Request</h1>"),
    "pieces": ("/forbid_in_pieces/{}/", {}, 403, b"not you"),
}


@pytest.mark.parametrize(
    ("server", "place"),
    [
        param(kind, options["middleware"], place, MIDDLEWARE=options["MIDDLEWARE"])
        for kind in (*KINDS, *TLS_KINDS)
        for place, options in PLACES.items()
        if kind.lead or place == "last"
    ],
    indirect=["server"],
)
@pytest.mark.parametrize("name", REFUSALS)
def test_replaced_refusal(server, place, name):
    """Guards the end of a refused connection against middleware that answers in our place.

    The answer is whole, the connection is closed, and a request behind the handshake is neither executed nor answered.
    """
    path, headers, status, body = REFUSALS[name]
    key = f"{name}-{place}"
    second = f"/plain/behind-{key}/"
    before = f"/logged/before-{key}/"
    with Raw(server) as client:
        if server.kind.concurrent and server.kind.keeps:
            # A plain request keeps the connection open.
            client.send(get(server, before))
            assert client.response()[0] == 200
        client.send(handshake(server, path.format(key), headers) + get(server, second))
        if status == 304:
            # It has no body, and hence needs no length.
            assert client.until(b"\r\n\r\n").split(b" ")[1] == b"304"
        else:
            answer = client.response()
            expected = (
                b"the Sec-WebSocket-Key is missing or malformed\n" if (place, name) == ("first", "malformed") else body
            )
            assert (answer[0], answer[2]) == (status, expected)
        client.over()
    server.idle()
    assert server.tally(second)["started"] == 0


@pytest.mark.parametrize("middleware", [True, False])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_interrupted_view(launch, kind, middleware):
    """Guards the end of a connection whose view was interrupted before the handshake.

    Django does not convert the exception: some servers answer it and would go on, some end their process.
    """
    server = launch(kind, middleware=middleware)
    with Raw(server) as client:
        client.send(handshake(server, "/interrupt/first/") + get(server, "/logged/second/"))
        try:
            # waitress keeps the connection of any request that ends so, and reads nothing more from it.
            answer = client.rest(1 if kind.name == "waitress" else 10)
        except TimeoutError:
            assert kind.name == "waitress"
            answer = b""
    assert answer.count(b"HTTP/1.") <= 1
    called = eventually(lambda: [record["message"] for record in server.records("live")])
    assert called == ["called /interrupt/first/"]
