"""Views that several tests of the test client use, and their addresses."""

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path

from django_websocket import accept_websocket


def make_route(urlpatterns):
    """Return a decorator that adds a view that takes WebSockets to ``urlpatterns``, with its options."""

    def route(address, **options):
        def add(view):
            urlpatterns.append(path(address, accept_websocket(**options)(view)))
            return view

        return add

    return route


urlpatterns = []
route = make_route(urlpatterns)


class ViewError(Exception):
    """An exception of a view."""


#: What views have seen in the running test.
seen = []


@route("echo/")
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


@route("events/", subprotocols=["chat.v2", "chat.v1"])
def events(request):
    """Record what the view sees."""
    websocket = request.websocket
    try:
        for message in websocket:
            seen.append(message)  # noqa: PERF402 - one by one
    finally:
        seen.append((websocket.close_code, websocket.close_reason))


@route("close/")
def close(request):
    request.websocket.close(4001, "go away")
    seen.append("closed")


@route("patient/")
def patient(request):
    """Wait for a minute at a time, and answer."""
    websocket = request.websocket
    while not websocket.closed:
        try:
            message = websocket.wait(timeout=60)
        except TimeoutError:
            websocket.send("anybody?")
        else:
            websocket.send(f"heard {message}") if message else None


@route("rejecting/")
def rejecting(request):
    return HttpResponse("no room for you", status=418)


@route("redirecting/")
def redirecting(request):
    return HttpResponseRedirect("/landing/?from=websocket")


def landing(request):
    return HttpResponse("landed")


# It takes no WebSockets: the request that follows a redirect is a plain one.
urlpatterns.append(path("landing/", landing))


@route("visits/")
def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    if not request.is_websocket():
        return HttpResponse(f"{request.user} {request.session['visits']}")
    request.websocket.send(f"{request.user} {request.session['visits']} {request.COOKIES.get('flavour')}")
    return None
