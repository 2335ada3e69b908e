"""Views that are functions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from django_websocket import MaybeWebSocketRequest, WebSocket, WebSocketRequest, accept_websocket, require_websocket

if TYPE_CHECKING:
    from typing_extensions import assert_type


@require_websocket
def echo(request: WebSocketRequest) -> None:
    assert_type(request.path, str)  # reported: bare assert-type
    for message in request.websocket:
        assert_type(message, str | bytes)
        request.websocket.send(message)


@require_websocket(subprotocols=["chat.v2", "chat.v1"], max_message_size=65536)
def chat(request: WebSocketRequest, room: str, number: int = 1) -> HttpResponse | None:
    if not room:
        return HttpResponse("no such room", status=404)
    request.websocket.send(f"{room} {number}")
    return None


@accept_websocket
def greet(request: MaybeWebSocketRequest, name: str) -> HttpResponse | None:
    if request.websocket is None:
        return HttpResponse(f"hello {name}")
    assert_type(request.build_websocket_uri(), str)
    request.websocket.send_json({"hello": name})
    return None


@accept_websocket
def careless(request: MaybeWebSocketRequest) -> HttpResponse | None:
    if not request.is_websocket():
        return HttpResponse("hello")
    request.websocket.send("hello")  # reported: both union-attr; pyright reportOptionalMemberAccess
    return None


@require_websocket
def unaware(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.websocket.version)  # reported: mypy attr-defined; pyright reportAttributeAccessIssue


class OtherRequest:
    """A request that is no HttpRequest, as that of Django REST framework."""

    websocket: WebSocket


@require_websocket
def of_another_framework(request: OtherRequest, name: str) -> None:
    request.websocket.send(name)


by_lambda = require_websocket(lambda request: request.websocket.send("hello"))


# The decorators of others


@login_required  # reported: bare untyped-decorator
@require_websocket
def members_only(request: WebSocketRequest, name: str) -> None:
    request.websocket.send(name)


@require_websocket
@login_required  # reported: bare untyped-decorator
def members_only_with_a_response(request: WebSocketRequest) -> HttpResponse:
    request.websocket.send("hello")
    return HttpResponse()


# Django's decorators take what Django's path() takes; a view that returns None is neither. mypy names the first line.
@require_websocket  # reported: mypy type-var
@login_required  # reported: bare untyped-decorator; pyright reportArgumentType, reportCallIssue
def members_only_inside(request: WebSocketRequest) -> None:
    request.websocket.send("hello")


@csrf_exempt  # reported: bare untyped-decorator
@never_cache  # reported: bare untyped-decorator
@permission_required("chat.enter")  # reported: bare untyped-decorator
@accept_websocket(require_origin=True)
def many(request: MaybeWebSocketRequest) -> HttpResponse | None:
    return HttpResponse() if request.websocket is None else None


# The parameters of a view stay


chat(HttpRequest(), "lobby")
chat(HttpRequest(), room="lobby", number=2)
chat(HttpRequest())  # reported: both call-arg; pyright reportCallIssue
chat(HttpRequest(), 1)  # reported: both arg-type; pyright reportArgumentType
chat(HttpRequest(), "lobby", name="")  # reported: both call-arg; pyright reportCallIssue
assert_type(greet(HttpRequest(), "ann").status_code, int)  # reported: bare assert-type


# What is no view


@require_websocket  # reported: mypy arg-type; pyright reportArgumentType
async def asynchronous(request: WebSocketRequest) -> None:
    request.websocket.send("hello")


@accept_websocket(require_origin=True)  # reported: mypy arg-type; pyright reportArgumentType
async def asynchronous_with_an_option(request: MaybeWebSocketRequest) -> HttpResponse:
    return HttpResponse()


@require_websocket  # reported: both arg-type; pyright reportArgumentType
def without_a_request() -> None: ...


@require_websocket  # reported: mypy arg-type; pyright reportArgumentType
def wrong_result(request: WebSocketRequest) -> str:
    return "hello"


urlpatterns = [
    path("echo/", echo),
    path("chat/<str:room>/", chat),
    path("greet/<str:name>/", greet),
    path("members/<str:name>/", members_only),
    path("members/", members_only_with_a_response),
    path("many/", many),
    path("partial/", accept_websocket(partial(chat, room="lobby"))),
    path("other/<str:name>/", of_another_framework),
    re_path("^lambda/$", by_lambda),
]
