"""Class-based views with a method for WebSockets beside those for HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from inspect import unwrap as undecorated
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.views import View

from .decorators import accept_websocket, require_websocket
from .handshake.marks import MARKS, OPTIONS
from .handshake.requests import unwrap
from .handshake.responses import response_of_ended_websocket
from .requests import WebSocketOptions

logger = logging.getLogger("django_websocket")

#: The name of the method, and the key of a ``ViewSet``'s action.
_METHOD: Final = "websocket"
#: Arguments of an ``@action`` that only name it on the pages of the framework.
_NAMING: Final = frozenset({"name", "description", "suffix"})
#: The attributes of a ``dispatch()`` that stay with it: those of a decorator of this package hold for that method.
_OWN_ATTRIBUTES: Final = frozenset({*MARKS, OPTIONS, "__wrapped__"})


class WebSocketMixin:
    """Makes a class-based view take WebSockets by its method ``websocket()``, beside ``get()`` and the others.

    ::

        class Chat(WebSocketMixin, LoginRequiredMixin, View):
            def websocket(self, request, name):
                for message in request.websocket:
                    request.websocket.send(f"{name}: {message}")

    It stands before Django's ``View``, or a class of Django REST framework, in the list of base classes. All that other
    classes do ahead of ``get()`` they do ahead of ``websocket()`` too. ``as_view()`` marks the view as
    :func:`~django_websocket.accept_websocket` does, and as :func:`~django_websocket.require_websocket` does if the
    class has no method for HTTP: a plain HTTP request then gets a 400.

    :raises TypeError: from ``as_view()``: there is no ``websocket()``, or it is an ``async def``, or an option does not
        exist or has a value of the wrong type; from the ``class`` statement: a ``View`` stands before this class.
    :raises ValueError: from ``as_view()``: an option has a value that it cannot have.
    """

    #: The options of the decorators, by name. ``as_view(websocket_options=...)`` replaces them for one address.
    websocket_options: WebSocketOptions = {}

    if TYPE_CHECKING:
        #: Called with the request and the arguments of its address. The method ends the WebSocket when it returns; a
        #: response that it returns before the handshake refuses the WebSocket.
        websocket: Callable[..., HttpResponseBase | None]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        if View in order and order.index(View) < order.index(WebSocketMixin):
            raise TypeError(f"in the bases of {cls.__name__}, WebSocketMixin has to stand before {View.__name__}")

    # The result is Any because Django's View and the classes of Django REST framework return different types.
    @classmethod
    def as_view(cls, *args: Any, **initkwargs: Any) -> Any:
        """Return the view function, marked by a decorator of this package.

        In Django REST framework, a ``ViewSet`` has ``actions``, in ``args`` or by name. They may name the method for
        ``"websocket"``, beside ``"get"`` and the others; without that it is ``websocket()``. A ``ViewSet`` that has
        none, or whose ``websocket()`` is an ``@action`` with an address of its own, takes no WebSockets at this one.
        """
        # A type checker knows the methods of View only in classes that inherit from both. With View as its base, this
        # class could not stand before generic views, whose types are narrower.
        view_class: Any = cls
        above: Any = super()
        view = above.as_view(*args, **initkwargs)
        actions: Mapping[str, str] | None = getattr(view, "actions", None)
        name = cls._method_name(actions)
        if name is None:
            if actions is not None:
                return view
            raise TypeError(f"{cls.__name__} has no method {_METHOD}(), with which a WebSocketMixin takes WebSockets")
        if iscoroutinefunction(getattr(cls, name)):
            raise TypeError(
                f"{cls.__name__}.{name}() is asynchronous, and an async view has no socket to wait on. Write it with "
                "'def', and serve it through WSGI"
            )
        _warn_of_options_left_out(cls, name, initkwargs)
        # as_view() has copied the attributes of the dispatch() below, which hides that of the next class: a
        # csrf_exempt there holds for this view too, unless another class has hidden both.
        if undecorated(cls.dispatch) is WebSocketMixin.dispatch:
            for key, value in vars(above.dispatch).items():
                if key not in _OWN_ATTRIBUTES:
                    vars(view).setdefault(key, value)
        http_methods = {*initkwargs.get("http_method_names", view_class.http_method_names)} - {"options"}
        takes_http = any(http in actions if actions is not None else hasattr(cls, http) for http in http_methods)
        mark = accept_websocket if takes_http else require_websocket
        return mark(**initkwargs.get(OPTIONS, cls.websocket_options))(view)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Serve a request; for a WebSocket ``websocket()`` takes the place of ``get()``, which its handshake asks for.

        ``websocket()`` is called without helpers between: each frame takes memory for as long as the view waits.
        """
        above: Any = super()
        view: Any = self
        if not self._takes(request):
            response: HttpResponseBase = above.dispatch(request, *args, **kwargs)
            return response
        # Assigned as attributes, they would be part of this class for a type checker, and restrict get() of others.
        own = vars(self)
        if "get" not in view.http_method_names:
            own["http_method_names"] = [*view.http_method_names, "get"]
        actions: Mapping[str, str] | None = getattr(view, "action_map", None)
        if actions is not None:
            # A ViewSet finds in them the name of the action, on which permissions may depend.
            own["action_map"] = {**actions, "get": actions.get(_METHOD, _METHOD)}
        own["get"] = self.websocket
        try:
            response = above.dispatch(request, *args, **kwargs)
        finally:
            # The bound method refers to the view: only the garbage collector could free the cycle. It is gone already
            # if the method has called dispatch() again.
            own.pop("get", None)
        return response

    @classmethod
    def _method_name(cls, actions: Mapping[str, str] | None) -> str | None:
        """Return the name of the method for WebSockets at an address; ``None``: there is none.

        ``actions`` are those of a ``ViewSet``, ``None`` for other views.
        """
        if actions is not None and _METHOD in actions:
            return actions[_METHOD]
        method = getattr(cls, _METHOD, None)
        # An @action has permissions and options of its own, which hold at its own address only.
        if method is None or (actions is not None and hasattr(method, "mapping")):
            return None
        return _METHOD

    def _takes(self, request: Any) -> bool:
        """Return whether a request has a WebSocket, and the view a method for it."""
        if getattr(unwrap(request), _METHOD, None) is None:
            return False
        return self._method_name(getattr(self, "action_map", None)) is not None

    # What follows is called by Django REST framework only.

    def perform_content_negotiation(self, request: Any, force: bool = False) -> Any:
        """Return the first renderer for the refusal of a WebSocket: a handshake says nothing of the type of a page.

        What it says is kept if it is that type, because a version of the API may be among its parameters.
        """
        above: Any = super()
        view: Any = self
        if not self._takes(request):
            return above.perform_content_negotiation(request, force)
        renderer = view.get_renderers()[0]
        # With True the framework returns the first renderer instead of an error.
        found, media_type = above.perform_content_negotiation(request, True)
        return renderer, media_type if type(found) is type(renderer) else renderer.media_type

    def handle_exception(self, exc: Exception) -> Any:
        """Return the response to an exception; raise it again if the handshake was sent, as no response can be sent."""
        above: Any = super()
        view: Any = self
        if self._takes(view.request) and view.request.websocket.handshake_sent:
            raise exc
        return above.handle_exception(exc)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the finished response; the framework does not allow the ``None`` that ``websocket()`` returns."""
        above: Any = super()
        if response is None and self._takes(request):
            request.websocket.accept()
            return response_of_ended_websocket()
        return above.finalize_response(request, response, *args, **kwargs)


def _warn_of_options_left_out(view_class: type, name: str, given: Mapping[str, Any]) -> None:
    """Log if an ``@action`` has options that ``as_view()`` was not given: the framework drops them without a word.

    They may be the permissions of the action. A router gives them all to ``as_view()``. The warning is for methods of
    WebSockets only, of which alone this class knows; the framework drops those of its own actions likewise.
    """
    options: Mapping[str, Any] = getattr(getattr(view_class, name), "kwargs", {})
    left_out = sorted(options.keys() - given.keys() - _NAMING)
    if left_out:
        logger.warning(
            "%s.as_view() was not given what @action says of %s(): %s; without a router, add **%s.%s.kwargs to its "
            "arguments",
            view_class.__name__,
            name,
            ", ".join(left_out),
            view_class.__name__,
            name,
        )


class WebSocketView(WebSocketMixin, View):
    """Django's ``View`` with a method ``websocket()``; see :class:`WebSocketMixin`."""
