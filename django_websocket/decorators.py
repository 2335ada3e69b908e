"""Mark the views that take WebSockets."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutine
from typing import Any, TypeVar, overload

from asgiref.sync import iscoroutinefunction
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponseBase

from .conf import check_options
from .handshake.responses import refuse_plain, response_of_ended_websocket
from .middleware import MARKS, OPTIONS, handle, is_handled, note_exception, see_through
from .websocket import WebSocket

View = TypeVar("View", bound=Callable[..., Any])


@overload
def accept_websocket(view: View, /) -> View: ...
@overload
def accept_websocket(**options: Any) -> Callable[[View], View]: ...
def accept_websocket(view: Any = None, /, **options: Any) -> Any:
    """Let a view take WebSockets as well as plain HTTP requests; ``request.is_websocket()`` tells them apart.

    Bare or with options, which override the settings for this view: ``subprotocols``, ``allowed_origins``,
    ``require_origin``, ``max_message_size``, ``max_fragments``, ``compression``, ``ping_interval``, ``ping_timeout``,
    ``send_timeout``, ``close_timeout``. For a class, decorate ``as_view()``'s result or use
    ``method_decorator(accept_websocket, name="dispatch")``.

    :raises TypeError: an ``async def`` view, or an option that does not exist or has a value of the wrong type.
    :raises ValueError: an option has a value that it cannot have.
    """
    return _decorator("accept_websocket", view, options)


@overload
def require_websocket(view: View, /) -> View: ...
@overload
def require_websocket(**options: Any) -> Callable[[View], View]: ...
def require_websocket(view: Any = None, /, **options: Any) -> Any:
    """Let a view take WebSockets only: plain HTTP requests get a 400. Otherwise as :func:`accept_websocket`."""
    return _decorator("require_websocket", view, options)


def _decorator(mark: str, view: Any, options: dict[str, Any]) -> Any:
    assert mark in MARKS
    check_options(options)
    if view is None:
        return lambda view: _decorate(mark, view, options)
    if not callable(view):
        raise TypeError(f"{mark}() takes a view; its options go by name")
    return _decorate(mark, view, options)


def _decorate(mark: str, view: Any, options: dict[str, Any]) -> Any:
    # method_decorator() decorates anew for each request, and the dispatch() it gives is a plain function in any class.
    owner = getattr(getattr(view, "func", None), "__self__", None)
    if iscoroutinefunction(view) or getattr(owner, "view_is_async", False):
        raise _not_synchronous(mark)

    # All in one frame: it is there while the view waits, and each one is memory for each connection.
    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase | None:
        if not is_handled(request):
            return handle(wrapper, request, args, kwargs)
        websocket: WebSocket | None = request.websocket  # type: ignore[attr-defined]
        if websocket is None:
            if mark == "require_websocket":
                return refuse_plain(request)
            return synchronous(_atomic(view, set(non_atomic))(request, *args, **kwargs))
        with see_through(request):
            try:
                response = synchronous(view(request, *args, **kwargs))
            except Exception as exception:
                # Before any other middleware sees it: to them a client that has left is no error either.
                response = note_exception(request, exception)
                if response is None:
                    raise
            if response is None:
                websocket.accept()
        return response_of_ended_websocket(response) if websocket.handshake_sent else response

    def synchronous(response: Any) -> HttpResponseBase | None:
        # A wrapper around an async view looks synchronous until it is called.
        if iscoroutine(response):
            response.close()
            raise _not_synchronous(mark)
        return response  # type: ignore[no-any-return]

    setattr(wrapper, mark, True)
    setattr(wrapper, OPTIONS, {**getattr(view, OPTIONS, {}), **options})
    # As transaction.non_atomic_requests() does, which may come once more and add to it.
    non_atomic = wrapper._non_atomic_requests = _Every(getattr(view, "_non_atomic_requests", ()))  # type: ignore[attr-defined]  # noqa: SLF001
    return wrapper


def _not_synchronous(mark: str) -> TypeError:
    return TypeError(
        f"{mark}() takes synchronous views: an async view has no socket to wait on. Write it with 'def', and serve it "
        "through WSGI"
    )


class _Every(set[str]):
    """The databases without ``ATOMIC_REQUESTS`` of a decorated view: all, as a transaction of hours serves nobody.

    Which databases there are is not known yet when a view is decorated. The set's elements are those of the view
    itself: plain HTTP requests get their transactions from :func:`_atomic`.
    """

    def __contains__(self, alias: object) -> bool:
        return True


def _atomic(view: Any, non_atomic: set[str]) -> Any:
    """Give ``view`` as Django would call it: in a transaction of each database with ``ATOMIC_REQUESTS``."""
    for alias, settings in connections.settings.items():
        if settings["ATOMIC_REQUESTS"] and alias not in non_atomic:
            view = transaction.atomic(using=alias)(view)
    return view
