"""The views of the test project, and their addresses. A test module with further views has an URLconf of its own."""

import pytest
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpResponse
from django.urls import path, re_path

from django_websocket import accept_websocket, require_websocket
from django_websocket.exceptions import ConnectionClosed


@accept_websocket
def echo(request):
    if not request.is_websocket():
        return HttpResponse("HTTP")
    for message in request.websocket:
        request.websocket.send(message)
    return None


def plain(request):
    """A view that is not marked."""
    return HttpResponse("plain")


@require_websocket(require_origin=True)
def strict(request):
    pytest.fail("a refused request must not reach its view")


@require_websocket
def unreachable(request):
    pytest.fail("a refused request must not reach its view")


@accept_websocket
def answer(request, status):
    return HttpResponse("the view's own", status=status, headers={"Location": "/elsewhere/"})


@accept_websocket
def look_closer(request):
    """Send what the view sees before the handshake, and after it."""
    websocket = request.websocket
    before = request.is_websocket(), websocket.version, websocket.closed, websocket.handshake_sent
    websocket.send(str(before))
    websocket.send(f"{request.is_websocket()} {websocket is request.websocket} {websocket.handshake_sent}")


#: Exceptions by the names that they have in addresses.
ERRORS = {
    "zero": ZeroDivisionError("secret"),
    "404": Http404("secret"),
    "403": PermissionDenied("secret"),
    "400": SuspiciousOperation("secret"),
    "bad": BadRequest("secret"),
    "closed": ConnectionClosed(1001, "secret"),
    "exit": SystemExit(3),
    "interrupt": KeyboardInterrupt(),
}


@accept_websocket
def raise_before(request, name):
    """Raise before the handshake."""
    raise ERRORS[name]


@accept_websocket
def raise_after(request, name):
    """Raise after the handshake and a message."""
    request.websocket.send("hello")
    raise ERRORS[name]


urlpatterns = [
    path("echo/", echo),
    path("plain/", plain),
    path("strict/", strict),
    path("unreachable/", unreachable),
    re_path("^any/", unreachable),
    re_path("^listen/", echo),
    path("status/<int:status>/", answer),
    path("look-closer/", look_closer),
    path("raise-before/<name>/", raise_before),
    path("raise-after/<name>/", raise_after),
]
