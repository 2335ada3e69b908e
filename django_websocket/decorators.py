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
from .middleware import MARKS, OPTIONS, Upgrade, WebSocketMiddleware, is_handled, prepare_process
from .websocket import WebSocket

View = TypeVar("View", bound=Callable[..., Any])


@overload
def accept_websocket(view: View, /) -> View: ...
@overload
def accept_websocket(**options: Any) -> Callable[[View], View]: ...
def accept_websocket(view: Any = None, /, **options: Any) -> Any:
    """Mark a view that takes WebSockets as well as plain HTTP requests; ``request.is_websocket()`` tells them apart.

    The decorator is used without parentheses, or with options that override the settings for this view:
    ``subprotocols``, ``allowed_origins``, ``require_origin``, ``max_message_size``, ``max_fragments``, ``compression``,
    ``ping_interval``, ``ping_timeout``, ``send_timeout``, ``close_timeout``. For a class, decorate the result of
    ``as_view()``, or use ``method_decorator(accept_websocket, name="dispatch")``.

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
    # Behind method_decorator() the view is a partial of a bound dispatch(), which is a plain function even in an
    # asynchronous class: the owner of that method says whether the class is asynchronous. method_decorator() decorates
    # anew for each request.
    owner = getattr(getattr(view, "func", None), "__self__", None)
    if iscoroutinefunction(view) or getattr(owner, "view_is_async", False):
        raise _not_synchronous(mark)
    non_atomic = AllDatabases(getattr(view, "_non_atomic_requests", ()))

    # The wrapper calls the view directly, without helpers between: each frame takes memory for as long as the view
    # waits, once for each connection.
    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase | None:
        if not is_handled(request):
            return _view_middleware()(request, wrapper, args, kwargs)
        upgrade = Upgrade.of(request)
        websocket: WebSocket | None = request.websocket  # type: ignore[attr-defined]
        if websocket is None or upgrade is None or upgrade.hooks is None:
            if mark == "require_websocket":
                return refuse_plain(request)
            return synchronous(_atomic(view, set(non_atomic))(request, *args, **kwargs))
        with upgrade.hooks:
            try:
                response = synchronous(view(request, *args, **kwargs))
            except Exception as exception:
                # ConnectionClosed becomes a response here, before other middleware sees the exception: a client that
                # has left is no error for any of them.
                response = upgrade.note_exception(exception)
                if response is None:
                    raise
            if response is None:
                websocket.accept()
        return response_of_ended_websocket(response) if upgrade.handshake_sent else response

    def synchronous(response: Any) -> HttpResponseBase | None:
        # A wrapper around an async view looks synchronous until it is called.
        if iscoroutine(response):
            response.close()
            raise _not_synchronous(mark)
        return response  # type: ignore[no-any-return]

    setattr(wrapper, mark, True)
    setattr(wrapper, OPTIONS, {**getattr(view, OPTIONS, {}), **options})
    # The attribute is the one of transaction.non_atomic_requests(), which may decorate the wrapper too and add to the
    # set.
    wrapper._non_atomic_requests = non_atomic  # type: ignore[attr-defined]  # noqa: SLF001
    return wrapper


def _not_synchronous(mark: str) -> TypeError:
    return TypeError(
        f"{mark}() takes synchronous views: an async view has no socket to wait on. Write it with 'def', and serve it "
        "through WSGI"
    )


class ViewMiddleware(WebSocketMiddleware):
    """Serves the requests of decorated views in a project that has no ``WebSocketMiddleware`` in ``MIDDLEWARE``."""

    def __init__(self) -> None:
        super().__init__(self._call_view)

    def _call_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase:
        """Return the response of a decorated view, called as Django would; the request already counts as handled.

        An exception after the handshake is converted to a response here, because the connection ends here.
        """
        upgrade = Upgrade.of(request)
        if upgrade is not None:
            # The server may have set its signal handlers, or forked, since the last WebSocket.
            prepare_process()
        refusal = self.process_view(request, view, args, kwargs)
        if refusal is not None:
            return refusal
        try:
            response: HttpResponseBase = view(request, *args, **kwargs)
        except Exception as exception:
            if upgrade is None or not upgrade.handshake_sent:
                raise
            return self.process_exception(request, exception) or response_for_exception(request, exception)
        return response


@cache
def _view_middleware() -> ViewMiddleware:
    """Return the middleware of this process, made at first use, when the server has set its signal handlers."""
    return ViewMiddleware()


class AllDatabases(set[str]):
    """The set of databases for which Django must not wrap a decorated view in a transaction: every alias is in it.

    A transaction would stay open as long as the WebSocket, for hours. The aliases are not known when a view is
    decorated, so that ``in`` returns ``True`` for each. Iteration returns the aliases of the view's own
    ``non_atomic_requests()``: plain HTTP requests get their transactions from :func:`_atomic`.
    """

    def __contains__(self, alias: object) -> bool:
        return True


def _atomic(view: Any, non_atomic: set[str]) -> Any:
    """Return ``view`` as Django would call it: in a transaction of each database with ``ATOMIC_REQUESTS``.

    ``BaseHandler.make_view_atomic()`` would do the same, but finds every database in :class:`AllDatabases`.
    """
    for alias, settings in connections.settings.items():
        if settings["ATOMIC_REQUESTS"] and alias not in non_atomic:
            view = transaction.atomic(using=alias)(view)
    return view
