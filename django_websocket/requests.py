"""The types of the requests that decorated views take, and of the decorators' options. All of it is for annotations."""

# The methods are declarations with a docstring as their body, which mypy takes for such.
# pyright: reportReturnType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NoReturn, TypedDict

from django.http import HttpRequest

if TYPE_CHECKING:
    from .websocket import WebSocket


class _ForAnnotations(type):
    """The metaclass of types that no object has: Django makes the requests, and the middleware adds to them."""

    def __instancecheck__(cls, instance: object) -> NoReturn:
        # "False" would be no answer, and the view would take the WebSocket for a plain HTTP request.
        raise TypeError(f"{cls.__name__} is for annotations only; request.is_websocket() tells WebSockets apart")


class MaybeWebSocketRequest(HttpRequest, metaclass=_ForAnnotations):
    """The request of a view that takes both, under ``@accept_websocket``, and of every request with the middleware.

    A project annotates its views with it, and may inherit from it to annotate more, such as ``user: User``. It is a
    class, and one of requests, because annotations are evaluated: by ``typing.get_type_hints()``, and by what looks for
    an ``HttpRequest`` in them. No object is an instance of it.

    :raises TypeError: it is the second argument of ``isinstance()``.
    """

    if TYPE_CHECKING:

        @property
        def websocket(self) -> WebSocket | None:
            """The WebSocket; ``None`` for a plain HTTP request, and in a view that takes no WebSockets."""

        def is_websocket(self) -> bool:
            """Return whether the request is a valid handshake; a type checker concludes nothing from it."""

        def build_websocket_uri(self, location: str | None = None) -> str:
            """Return the absolute ``ws://`` or ``wss://`` address of ``location``; ``None``: of the request itself."""


class WebSocketRequest(MaybeWebSocketRequest):
    """The request of a view that takes WebSockets only, under ``@require_websocket``."""

    if TYPE_CHECKING:

        @property
        def websocket(self) -> WebSocket:
            """The WebSocket."""

        def is_websocket(self) -> Literal[True]:
            """Return ``True``."""


class WebSocketOptions(TypedDict, total=False):
    """The options of the decorators. What each of them means is said in :class:`~django_websocket.options.Options`."""

    subprotocols: list[str] | tuple[str, ...]
    allowed_origins: list[str] | tuple[str, ...] | None
    require_origin: bool
    max_message_size: int | None
    max_fragments: int | None
    compression: bool | Mapping[str, int]
    ping_interval: float | None
    ping_timeout: float | None
    send_timeout: float
    close_timeout: float
