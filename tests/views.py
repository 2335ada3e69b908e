"""Names and decorators for tests of views."""

from django.urls import path

OURS = "django_websocket.middleware.WebSocketMiddleware"

VERSIONS = [13, 8, 7, 76, 75]
#: The versions without close codes, pings and binary messages.
OLD = [75, 76]


def make_route(urlpatterns):
    """Return a decorator that adds a view to ``urlpatterns`` at an address."""

    def route(address):
        def add(view):
            urlpatterns.append(path(address, view))
            return view

        return add

    return route


def make_route_by_name(urlpatterns):
    """Return a decorator that adds a view to ``urlpatterns`` at the address ``<name of the view>/``."""

    def route(view):
        urlpatterns.append(path(f"{view.__name__}/", view))
        return view

    return route


def echo(request):
    """Send each message back; a test decorates this view as it needs it."""
    for message in request.websocket:
        request.websocket.send(message)
