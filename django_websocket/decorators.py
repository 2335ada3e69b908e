"""Mark the views that take WebSockets."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, overload

from asgiref.sync import iscoroutinefunction
from django.core.handlers.exception import response_for_exception
from django.http import HttpRequest, HttpResponseBase

from .conf import check_options
from .conf.installed import warn_unless_installed
from .handshake.marks import MARKS, OPTIONS, WrapperOptions, read_marks
from .handshake.plain_http import refuse_plain
from .handshake.requests import unwrap
from .handshake.responses import response_of_ended_websocket
from .housekeeping.atomic_requests import AllDatabases, atomic
from .housekeeping.caches import vary_on_upgrade
from .middleware import WebSocketMiddleware
from .middleware.refusals import report_exception
from .middleware.upgrade import Upgrade, is_handled

if TYPE_CHECKING:
    from typing import Concatenate, ParamSpec, TypeAlias

    from typing_extensions import Unpack

    from .requests import WebSocketOptions

    P = ParamSpec("P")
    # The type of the request is the view's own choice: one of those in requests.py, a subclass of the project, Django
    # REST framework's Request, which is no HttpRequest.
    View: TypeAlias = Callable[Concatenate[Any, P], HttpResponseBase | None]
    # A view that returns None is no view for Django's path(), but the wrapper always returns a response to a WebSocket.
    MarkedView: TypeAlias = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


@overload
def accept_websocket(view: View[P], /) -> MarkedView[P]: ...
@overload
def accept_websocket(**options: Unpack[WebSocketOptions]) -> Callable[[View[P]], MarkedView[P]]: ...
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
def require_websocket(view: View[P], /) -> MarkedView[P]: ...
@overload
def require_websocket(**options: Unpack[WebSocketOptions]) -> Callable[[View[P]], MarkedView[P]]: ...
def require_websocket(view: Any = None, /, **options: Any) -> Any:
    """Mark a view that takes WebSockets only: plain HTTP requests get a 400. Otherwise as :func:`accept_websocket`."""
    return _decorator("require_websocket", view, options)


def _decorator(mark: str, view: Any, options: dict[str, Any]) -> Any:
    assert mark in MARKS
    warn_unless_installed()
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
    inside = read_marks(view)

    # The wrapper calls the view directly, without helpers between: each frame takes memory for as long as the view
    # waits, once for each connection.
    @wraps(view)
    def wrapper(given: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase | None:
        request = unwrap(given)
        if not is_handled(request):
            return _view_middleware()(request, own_options.wrapper(), (given, *args), kwargs)
        upgrade = Upgrade.of(request)
        response: HttpResponseBase | None = None
        outer = None if upgrade is None else upgrade.wrapped
        try:
            if upgrade is not None:
                response = upgrade.enter_wrapper(request, own_options)
                if response is not None:
                    return response
                if not own_options.complete:
                    # The wrapper inside, of a class that this one inherits from, adds its options and does the rest.
                    return synchronous(view(given, *args, **kwargs))
            if upgrade is None or upgrade.hooks is None:
                if mark == "require_websocket":
                    return refuse_plain(request)
                return vary_on_upgrade(synchronous(atomic(view, set(non_atomic))(given, *args, **kwargs)))
            with upgrade.hooks:
                try:
                    response = synchronous(view(given, *args, **kwargs))
                except Exception as exception:
                    # ConnectionClosed becomes a response here, before other middleware sees the exception: a client
                    # that has left is no error for any of them.
                    response = upgrade.note_exception(exception)
                    if response is None:
                        raise
                if response is None:
                    request.websocket.accept()  # type: ignore[attr-defined]
            if upgrade.handshake_sent:
                return response_of_ended_websocket(response)
            return response if mark == "require_websocket" else vary_on_upgrade(response)
        finally:
            if upgrade is not None and outer is not None:
                # The options of this wrapper do not hold for a view that is called after its own.
                upgrade.wrapped = outer

    def synchronous(response: Any) -> HttpResponseBase | None:
        # A wrapper around an async view looks synchronous until it is called.
        if iscoroutine(response):
            response.close()
            raise _not_synchronous(mark)
        return response  # type: ignore[no-any-return]

    setattr(wrapper, mark, True)
    own_options = WrapperOptions(
        {**(inside.options or {}), **options}, wrapper, complete=not inside.decorated or inside.options is not None
    )
    setattr(wrapper, OPTIONS, own_options)
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
        """Make the middleware. The process is prepared later, for each request that becomes a WebSocket."""
        self.get_response = self._call_view

    def _call_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase:
        """Return the response of a decorated view, called as Django would; the request already counts as handled.

        ``args`` begin with the request as the view gets it. An exception after the handshake is converted to a response
        here, because the connection ends here.
        """
        refusal = self.process_view(request, view, args, kwargs)
        if refusal is not None:
            return refusal
        upgrade = Upgrade.of(request)
        try:
            response: HttpResponseBase = view(*args, **kwargs)
        except Exception as exception:
            if upgrade is None or not upgrade.handshake_sent:
                if upgrade is not None:
                    report_exception(request, exception)
                raise
            return self.process_exception(request, exception) or response_for_exception(request, exception)
        return response


@cache
def _view_middleware() -> ViewMiddleware:
    """Return the middleware of this process, made at first use."""
    return ViewMiddleware()
