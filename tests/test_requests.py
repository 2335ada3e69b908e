"""The types of requests and options, as far as they exist at run time; ``tests/typing`` runs the type checkers."""

import inspect
from typing import get_type_hints

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import path

from django_websocket import MaybeWebSocketRequest, WebSocketOptions, WebSocketRequest, accept_websocket
from django_websocket.conf import SETTINGS, check_options

pytestmark = pytest.mark.urls(__name__)


class MemberRequest(MaybeWebSocketRequest):
    user: str


@accept_websocket
def greet(request: MemberRequest, name: str) -> HttpResponse | None:
    """Greet."""
    if request.websocket is None:
        return HttpResponse(f"hello {name}")
    request.websocket.send(f"welcome {name}")
    return None


urlpatterns = [path("greet/<str:name>/", greet)]


def test_an_annotated_view_takes_both(client):
    assert client.get("/greet/ann/").content == b"hello ann"
    with client.websocket("/greet/ann/") as websocket:
        assert websocket.wait() == "welcome ann"


def test_the_annotations_of_a_view_can_be_evaluated():
    """Whatever looks for the request of a view by its annotation finds a class of requests."""
    assert get_type_hints(greet)["request"] is MemberRequest
    assert inspect.signature(greet).parameters["request"].annotation is MemberRequest
    assert issubclass(MemberRequest, HttpRequest)
    assert issubclass(WebSocketRequest, MaybeWebSocketRequest)


@pytest.mark.parametrize("kind", [MaybeWebSocketRequest, WebSocketRequest, MemberRequest])
def test_no_object_is_asked_whether_it_is_an_instance(kind):
    with pytest.raises(TypeError, match=f"{kind.__name__} is for annotations only; request.is_websocket"):
        isinstance(RequestFactory().get("/"), kind)


#: A value of every option, of the type that the annotation says.
OPTIONS = WebSocketOptions(
    subprotocols=["chat"],
    allowed_origins=("https://example.com",),
    require_origin=True,
    max_message_size=1,
    max_fragments=None,
    compression={"level": 1, "context_takeover": False},
    ping_interval=0.5,
    ping_timeout=None,
    send_timeout=1,
    close_timeout=1,
)


def test_the_options_are_those_of_the_decorators():
    names = {setting.attribute for setting in SETTINGS if setting.per_view} | {"subprotocols"}
    assert get_type_hints(WebSocketOptions).keys() == OPTIONS.keys() == names
    check_options(OPTIONS)
