"""Views that are classes."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from django_websocket import MaybeWebSocketRequest, WebSocketRequest, accept_websocket, require_websocket


@method_decorator(require_websocket, name="dispatch")
class Echo(View):  # reported: bare misc
    def get(self, request: WebSocketRequest) -> None:
        for message in request.websocket:
            request.websocket.send(message)


@method_decorator(accept_websocket(max_message_size=1000), name="dispatch")
class Greeting(View):  # reported: bare misc
    def get(self, request: MaybeWebSocketRequest, name: str) -> HttpResponse | None:
        if request.websocket is None:
            return HttpResponse(f"hello {name}")
        request.websocket.send(f"welcome {name}")
        return None


class Inside(View):  # reported: bare misc
    @method_decorator(require_websocket)  # reported: bare untyped-decorator
    def get(self, request: WebSocketRequest, name: str) -> None:
        request.websocket.send(name)


class Bare(View):  # reported: bare misc
    def get(self, request: MaybeWebSocketRequest) -> HttpResponse | None:
        return HttpResponse() if request.websocket is None else None


@require_websocket  # reported: mypy arg-type; pyright reportArgumentType
class Decorated(View):  # reported: bare misc
    """The decorator of a class is method_decorator()."""


urlpatterns = [
    path("echo/", Echo.as_view()),
    path("greeting/<str:name>/", Greeting.as_view()),
    path("inside/<str:name>/", Inside.as_view()),
    path("bare/", accept_websocket(Bare.as_view())),
    path("bare/options/", accept_websocket(require_origin=True)(Bare.as_view())),
]
