"""The types of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.http import HttpRequest

from django_websocket import MaybeWebSocketRequest, WebSocket, WebSocketRequest, require_websocket

if TYPE_CHECKING:
    from typing_extensions import assert_type


class RoomRequest(WebSocketRequest):
    """What a middleware of the project adds."""

    room: str


class MemberRequest(WebSocketRequest):
    user: User  # reported: pyright reportIncompatibleVariableOverride


@require_websocket
def member(request: MemberRequest) -> None:
    request.websocket.send(request.user.username)


@require_websocket
def room(request: RoomRequest) -> None:
    request.websocket.send(helper(request) + request.room)


def helper(request: MaybeWebSocketRequest) -> str:
    """Take either kind."""
    assert_type(request.websocket, WebSocket | None)
    assert_type(request.is_websocket(), bool)
    return plain_helper(request)


def plain_helper(request: HttpRequest) -> str:
    return request.get_full_path()  # reported: bare no-any-return


def of_a_websocket(request: WebSocketRequest) -> None:
    assert_type(request.websocket, WebSocket)
    if not request.is_websocket():
        request.websocket.send("never")  # reported: both unreachable


def of_a_careless_helper(request: WebSocketRequest, helper: WebSocketRequest) -> None:
    request.websocket = helper.websocket  # reported: both misc; pyright reportAttributeAccessIssue
