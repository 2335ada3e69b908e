"""Where all layers meet: from a request to its view's WebSocket, and to the end of that."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.log import log_response

from . import protocols, servers
from .conf import conf
from .exceptions import ConnectionClosed, HandshakeError, SocketNotFound
from .gunicorn.workers import adopt_worker, find_worker
from .handshake.origins import check_origin
from .handshake.requests import parse
from .handshake.responses import (
    BAD_HOST,
    escape_for_log,
    refuse,
    refuse_plain,
    response_of_ended_websocket,
    unavailable,
)
from .housekeeping.hooks import DjangoHooks
from .process.registry import registry
from .process.shutdown import close_on_exit
from .protocols.base import CloseCode, Protocol
from .websocket import WebSocket

logger = logging.getLogger("django_websocket.handshake")

#: The attributes that mark a view.
MARKS: Final = ("accept_websocket", "require_websocket")
#: The attribute that holds a marked view's options.
OPTIONS: Final = "websocket_options"

# The key of a request's Upgrade in its META; ``None`` is there for a plain request.
_KEY: Final = "django_websocket.upgrade"

GetResponse = Callable[..., HttpResponseBase]


class WebSocketMiddleware:
    """Adds ``is_websocket()`` and ``websocket`` to every request, and ends the WebSocket of a view that has returned.

    First in ``MIDDLEWARE``. Without it, the decorators do the same for their own views.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        if conf.close_on_sigterm:
            close_on_exit()
        _adopt_worker()

    def __call__(self, request: HttpRequest, *args: Any) -> HttpResponseBase:
        """Serve a request; ``args`` are for subclasses, whose ``get_response`` takes more.

        All in one frame: it is there while a view waits, and each one is memory for each connection.
        """
        try:
            upgrade = Upgrade.parse(request)
        except HandshakeError as error:
            return close_behind(refuse(request, error), request)
        if upgrade is None:
            return self.get_response(request, *args)
        try:
            response = self.get_response(request, *args)
        except BaseException:
            upgrade.end(CloseCode.INTERNAL_ERROR, wait=False)
            raise
        return upgrade.finish(request, response)

    def process_view(self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any) -> HttpResponseBase | None:
        """Refuse a request that the view does not take; else give the view its WebSocket."""
        while isinstance(view, partial):
            view = view.func
        upgrade = Upgrade.of(request)
        if upgrade is not None:
            return upgrade.enter(request, view)
        return refuse_plain(request) if getattr(view, "require_websocket", False) else None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Note an exception of a view whose handshake was sent; Django answers and logs it as any other's."""
        upgrade = Upgrade.of(request)
        return None if upgrade is None else upgrade.note_exception(exception)


class Step(enum.Enum):
    """How far an attempt to open a WebSocket has come."""

    #: The handshake is well-formed. Its view is not known yet.
    PARSED = enum.auto()
    #: The request may not become a WebSocket.
    REFUSED = enum.auto()
    #: The view has a WebSocket, and counts among those of the process. The view opens it, by sending the handshake.
    ADMITTED = enum.auto()
    #: The view has returned, and its WebSocket has ended.
    ENDED = enum.auto()


class Upgrade:
    """A request's attempt to open a WebSocket: parsed, then admitted or refused, and ended."""

    __slots__ = ("_connection", "_failed", "_protocol", "_step", "hooks", "websocket")

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._step = Step.PARSED
        #: Whether the view has raised an exception after the handshake.
        self._failed = False
        #: The client's connection, once the server was asked for it.
        self._connection: servers.ClientConnection | None = None
        #: The WebSocket of the view, and its hooks while it lasts, once it is admitted.
        self.websocket: WebSocket | None = None
        self.hooks: DjangoHooks | None = None

    @classmethod
    def parse(cls, request: HttpRequest) -> Upgrade | None:
        """Return the attempt that a request makes, ``None`` if it is plain HTTP; the request gets what views use.

        :raises HandshakeError: the handshake is malformed, or of no version that is spoken here.
        """
        request.META[_KEY] = None
        request.is_websocket = _is_not_a_websocket  # type: ignore[attr-defined]
        request.websocket = None  # type: ignore[attr-defined]
        parsed = parse(request)
        if not parsed.is_upgrade:
            return None
        upgrade = request.META[_KEY] = cls(protocols.choose(parsed, conf.protocols))
        request.is_websocket = _is_a_websocket  # type: ignore[attr-defined]
        return upgrade

    @staticmethod
    def of(request: HttpRequest) -> Upgrade | None:
        """Return the attempt of a request that the middleware has seen, ``None`` if it is plain HTTP."""
        upgrade: Upgrade | None = request.META[_KEY]
        return upgrade

    @property
    def is_open(self) -> bool:
        """Whether the handshake was sent: no HTTP response can be sent any more."""
        return self.websocket is not None and self.websocket.handshake_sent

    def enter(self, request: HttpRequest, view: Any) -> HttpResponseBase | None:
        """Set ``request.websocket`` for the view, or return the refusal."""
        try:
            request.websocket = self._admit(request, view)  # type: ignore[attr-defined]
        except HandshakeError as error:
            self._step = Step.REFUSED
            return refuse(request, error)
        except SocketNotFound as error:
            self._step = Step.REFUSED
            return refuse(request, HandshakeError(str(error)), logging.ERROR)
        return None

    def _admit(self, request: HttpRequest, view: Any) -> WebSocket:
        """Check a request against its view, in the order of the documentation, and make the WebSocket.

        :raises HandshakeError: the view does not take it, or it is not allowed here and now.
        :raises SocketNotFound: the server has no socket for it.
        """
        protocol = self._protocol
        if not (conf.accept_all or any(getattr(view, mark, False) for mark in MARKS)):
            raise HandshakeError("this address takes no WebSockets")
        options = conf.options(getattr(view, OPTIONS, {}))
        if protocol.request.host is None:
            raise HandshakeError(BAD_HOST)
        check_origin(
            protocol.origin,
            host=protocol.request.host,
            secure=protocol.request.secure,
            allowed=options.allowed_origins,
            trusted=settings.CSRF_TRUSTED_ORIGINS,
            require=options.require_origin,
        )
        self._connection = servers.find(request.META)
        _adopt_worker()
        if registry.draining:
            raise unavailable("the server is restarting")
        if not registry.enter(conf.max_connections):
            raise unavailable("the server has no room for more WebSockets")
        self._step = Step.ADMITTED
        protocol.max_message_size = options.max_message_size
        protocol.max_fragments = options.max_fragments
        protocol.compression = options.compression
        name = escape_for_log(request.path)
        self.hooks = DjangoHooks(request, name, keep_databases=conf.db == "keep", revalidate_interval=conf.revalidate)
        self.websocket = WebSocket(protocol, self._connection.take_over, options, self.hooks, name)
        return self.websocket

    def note_exception(self, exception: Exception) -> HttpResponseBase | None:
        """Note an exception of the view; return a response if it is none of Django's business.

        That is the end of the connection: a view need not catch it.
        """
        if not self.is_open:
            return None
        if isinstance(exception, ConnectionClosed):
            return response_of_ended_websocket()
        self._failed = True
        return None

    def end(self, code: int, *, wait: bool) -> None:
        """End the WebSocket of a view that has returned, if it got one; ``wait`` is as for :meth:`WebSocket.end`."""
        if self._step is not Step.ADMITTED:
            return
        self._step = Step.ENDED
        try:
            if self.websocket is not None:
                self.websocket.end(code, wait=wait)
        finally:
            registry.leave()
            # They refer to the request, which refers to this: a cycle, for the garbage collector only.
            self.hooks = None

    def finish(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """End the connection of the request; return the response for the server."""
        failed = self._failed or response.status_code >= 500
        self.end(CloseCode.INTERNAL_ERROR if failed else CloseCode.NORMAL_CLOSURE, wait=True)
        if self.is_open:
            if self._failed and response.status_code >= 400:
                # A 404 that was raised, say: Django would log it when it has gone through all middleware.
                log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)  # type: ignore[arg-type]
            finish = None if self._connection is None else self._connection.finish
            return response_of_ended_websocket(response, finish)
        if self._protocol.request.host is None and self._step is not Step.REFUSED:
            # Another middleware has asked for the host before the view was found.
            response = refuse(request, HandshakeError(BAD_HOST))
        return close_behind(response, request, self._connection)

    def close_with(self, request: HttpRequest) -> None:
        """Close the client's connection when Django closes the request, whatever it answers to an exception."""
        if self._connection is not None:
            close, refuse_connection = request.close, self._connection.refuse

            def close_both() -> None:
                close()
                refuse_connection()

            request.close = close_both  # type: ignore[method-assign]


def is_handled(request: HttpRequest) -> bool:
    """Return whether the middleware, or another decorator of ours, has seen this request."""
    return _KEY in request.META


def close_behind(
    response: HttpResponseBase, request: HttpRequest, connection: servers.ClientConnection | None = None
) -> HttpResponseBase:
    """Return the response to a refused attempt, behind which the client's connection is closed.

    The client has begun to speak something else than HTTP. ``connection`` is known if the request was admitted.
    """
    if response.status_code < 200:
        logger.error("A view answered a WebSocket with status %d", response.status_code)
        response = HttpResponse(status=500)
    elif 300 <= response.status_code < 400:
        logger.warning(
            "WebSocket refused at %s by a redirect, which no client follows: is its address right, to the slash "
            "and the scheme?",
            escape_for_log(request.path),
        )
    try:
        connection = connection or servers.find(request.META)
    except SocketNotFound:
        if servers.closes_when_told(request.META):
            response.headers["Connection"] = "close"
        return response
    connection.prepare_refusal()
    response._resource_closers.append(connection.refuse)  # type: ignore[attr-defined]  # noqa: SLF001 - runs in close()
    return response


def _adopt_worker() -> None:
    """Watch gunicorn's worker, if this process is one."""
    worker = find_worker()
    if worker is not None:
        adopt_worker(worker, close=conf.close_on_sigterm, limit=conf.max_connections)


def _is_a_websocket() -> bool:
    """Stand for ``request.is_websocket``: a closure would be memory for each connection."""
    return True


def _is_not_a_websocket() -> bool:
    return False


__all__ = ["WebSocketMiddleware"]
