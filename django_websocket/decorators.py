"""Mark the views that take WebSockets."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from inspect import iscoroutine
from typing import Any, TypeVar, overload

from asgiref.sync import iscoroutinefunction
from django.core.handlers.exception import response_for_exception
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponseBase

from .conf import check_options
from .handshake.responses import refuse_plain, response_of_ended_websocket
from .middleware import MARKS, OPTIONS, Upgrade, WebSocketMiddleware, is_handled

View = TypeVar("View", bound=Callable[..., Any])


@overload
def accept_websocket(view: View, /) -> View: ...
@overload
def accept_websocket(**options: Any) -> Callable[[View], View]: ...
def accept_websocket(view: Any = None, /, **options: Any) -> Any:
    """Mark a view that takes WebSockets as well as plain HTTP requests; ``request.is_websocket()`` tells them apart.

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
    """Mark a view that takes WebSockets only: plain HTTP requests get a 400. Otherwise as :func:`accept_websocket`."""
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
    # method_decorator() decorates anew for each request, and the dispatch() it makes is a plain function in any class.
    owner = getattr(getattr(view, "func", None), "__self__", None)
    if iscoroutinefunction(view) or getattr(owner, "view_is_async", False):
        raise _not_synchronous(mark)
    non_atomic = AllDatabases(getattr(view, "_non_atomic_requests", ()))

    # All in one frame: it is there while the view waits, and each one is memory for each connection.
    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase | None:
        if not is_handled(request):
            return _view_middleware()(request, wrapper, args, kwargs)
        upgrade = Upgrade.of(request)
        if upgrade is None or upgrade.websocket is None or upgrade.hooks is None:
            if mark == "require_websocket":
                return refuse_plain(request)
            return synchronous(_atomic(view, set(non_atomic))(request, *args, **kwargs))
        with upgrade.hooks:
            try:
                response = synchronous(view(request, *args, **kwargs))
            except Exception as exception:
                # Before any other middleware sees it: to them, too, a client that has left is no error.
                response = upgrade.note_exception(exception)
                if response is None:
                    raise
            if response is None:
                upgrade.websocket.accept()
        return response_of_ended_websocket(response) if upgrade.is_open else response

    def synchronous(response: Any) -> HttpResponseBase | None:
        # A wrapper around an async view looks synchronous until it is called.
        if iscoroutine(response):
            response.close()
            raise _not_synchronous(mark)
        return response  # type: ignore[no-any-return]

    setattr(wrapper, mark, True)
    setattr(wrapper, OPTIONS, {**getattr(view, OPTIONS, {}), **options})
    # As transaction.non_atomic_requests() does, which may come once more and add to the set.
    wrapper._non_atomic_requests = non_atomic  # type: ignore[attr-defined]  # noqa: SLF001
    return wrapper


def _not_synchronous(mark: str) -> TypeError:
    return TypeError(
        f"{mark}() takes synchronous views: an async view has no socket to wait on. Write it with 'def', and serve it "
        "through WSGI"
    )


class ViewMiddleware(WebSocketMiddleware):
    """Does for the requests of decorated views what the middleware does for all, where that is missing."""

    def __init__(self) -> None:
        super().__init__(self._call_view)

    def _call_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase:
        """Call a decorated view, to which the request counts as handled now, as Django would call it.

        An exception after the handshake is answered here and not further out, as the connection ends here.
        """
        refusal = self.process_view(request, view, args, kwargs)
        if refusal is not None:
            return refusal
        try:
            response: HttpResponseBase = view(request, *args, **kwargs)
        except Exception as exception:
            upgrade = Upgrade.of(request)
            if upgrade is None or not upgrade.is_open:
                if upgrade is not None:
                    upgrade.close_with(request)
                raise
            return self.process_exception(request, exception) or response_for_exception(request, exception)
        return response


@cache
def _view_middleware() -> ViewMiddleware:
    """Return the one of this process, made at first use: the server has set its signal handlers by then."""
    return ViewMiddleware()


class AllDatabases(set[str]):
    """The databases without ``ATOMIC_REQUESTS`` of a decorated view: all, as a transaction of hours serves nobody.

    It contains every alias, as the databases are not known yet when a view is decorated. Iteration returns those of the
    view itself: plain HTTP requests get their transactions from :func:`_atomic`.
    """

    def __contains__(self, alias: object) -> bool:
        return True


def _atomic(view: Any, non_atomic: set[str]) -> Any:
    """Return ``view`` as Django would call it: in a transaction of each database with ``ATOMIC_REQUESTS``.

    ``BaseHandler.make_view_atomic()`` does the same for the set that is an attribute of the view: to it, none is left.
    """
    for alias, settings in connections.settings.items():
        if settings["ATOMIC_REQUESTS"] and alias not in non_atomic:
            view = transaction.atomic(using=alias)(view)
    return view
