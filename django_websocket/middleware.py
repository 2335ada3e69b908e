"""The middleware, which joins all layers: it gives a view its WebSocket, and ends the WebSocket after the view."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
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

# The key in ``request.META`` of the request's Upgrade; its value is ``None`` for a plain HTTP request.
_KEY: Final = "django_websocket.upgrade"

GetResponse = Callable[..., HttpResponseBase]


class WebSocketMiddleware:
    """Adds ``is_websocket()`` and ``websocket`` to every request, and ends the WebSocket of a view that has returned.

    It has to be first in ``MIDDLEWARE``. Without it, the decorators do the same for their own views.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        prepare_process()

    def __call__(self, request: HttpRequest, *args: Any) -> HttpResponseBase:
        """Serve a request; ``args`` are for subclasses, whose ``get_response`` takes more.

        It calls no helper around the view: each frame takes memory for as long as the view waits, once for each
        connection.
        """
        if is_handled(request):
            # The middleware is listed twice, or a subclass of it beside it: the first one serves the request.
            return self.get_response(request, *args)
        try:
            upgrade = Upgrade.parse(request)
        except HandshakeError as error:
            return close_connection_after(refuse(request, error), request)
        if upgrade is None:
            return self.get_response(request, *args)
        try:
            response = self.get_response(request, *args)
        except BaseException:
            upgrade.end(None)
            raise
        return upgrade.finish(request, response)

    def process_view(self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any) -> HttpResponseBase | None:
        """Return the refusal of a request that the view does not take; else set ``request.websocket``."""
        while isinstance(view, partial):
            view = view.func
        upgrade = Upgrade.of(request)
        if upgrade is not None:
            return upgrade.admit(request, view)
        return refuse_plain(request) if getattr(view, "require_websocket", False) else None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Return the response to ``ConnectionClosed`` after the handshake; leave every other exception to Django."""
        upgrade = Upgrade.of(request)
        return None if upgrade is None else upgrade.note_exception(exception)


class Step(enum.Enum):
    """The progress of an attempt to open a WebSocket."""

    #: The handshake is well-formed. Its view is not known yet.
    PARSED = enum.auto()
    #: The request may not become a WebSocket.
    REFUSED = enum.auto()
    #: The view has its WebSocket and is counted by the registry. The view sends the handshake.
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
        #: The WebSocket of the view and its hooks, set when the request is admitted; the hooks are ``None`` again at
        #: the end.
        self.websocket: WebSocket | None = None
        self.hooks: DjangoHooks | None = None

    @classmethod
    def parse(cls, request: HttpRequest) -> Upgrade | None:
        """Return the attempt of a request, ``None`` for plain HTTP; set its ``is_websocket`` and ``websocket``.

        :raises HandshakeError: the handshake is malformed, or of none of the versions in ``WEBSOCKET_PROTOCOLS``.
        """
        request.META[_KEY] = None
        request.is_websocket = _is_not_a_websocket  # type: ignore[attr-defined]
        request.websocket = None  # type: ignore[attr-defined]
        parsed = parse(request)
        if not parsed.is_upgrade:
            return None
        servers.end_requests(request.META)
        upgrade = request.META[_KEY] = cls(protocols.choose(parsed, conf.protocols))
        request.is_websocket = _is_a_websocket  # type: ignore[attr-defined]
        return upgrade

    @staticmethod
    def of(request: HttpRequest) -> Upgrade | None:
        """Return the attempt of a request that the middleware has seen, ``None`` if it is plain HTTP."""
        upgrade: Upgrade | None = request.META[_KEY]
        return upgrade

    @property
    def handshake_sent(self) -> bool:
        """Whether the handshake was sent: no HTTP response can be sent any more."""
        return self.websocket is not None and self.websocket.handshake_sent

    def admit(self, request: HttpRequest, view: Any) -> HttpResponseBase | None:
        """Set ``request.websocket`` for the view, or return the refusal; do nothing the second time."""
        if self._step is not Step.PARSED:
            return None
        try:
            request.websocket = self._make_websocket(request, view)  # type: ignore[attr-defined]
        except HandshakeError as error:
            self._step = Step.REFUSED
            return refuse(request, error)
        except SocketNotFound as error:
            self._step = Step.REFUSED
            return refuse(request, HandshakeError(str(error)), logging.ERROR)
        return None

    def _make_websocket(self, request: HttpRequest, view: Any) -> WebSocket:
        """Return the WebSocket of a request, after its checks in the order of the documentation.

        :raises HandshakeError: the view takes no WebSockets, the Host or the Origin is not allowed, or the process
            takes no more WebSockets.
        :raises SocketNotFound: the server gives no access to its socket.
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
        """Return the response to ``ConnectionClosed`` after the handshake; record any other exception instead.

        A view need not catch ``ConnectionClosed``: it only says that the connection has ended.
        """
        if not self.handshake_sent:
            return None
        if isinstance(exception, ConnectionClosed):
            return response_of_ended_websocket()
        self._failed = True
        return None

    def end(self, response: HttpResponseBase | None) -> None:
        """End the WebSocket of a view that has returned, if it got one; ``None``: the view was interrupted."""
        if self._step is not Step.ADMITTED:
            return
        self._step = Step.ENDED
        try:
            if self.websocket is not None:
                failed = self._failed or response is None or response.status_code >= 500
                code = CloseCode.INTERNAL_ERROR if failed else CloseCode.NORMAL_CLOSURE
                self.websocket.end(code, wait=response is not None)
        finally:
            registry.leave()
            if response is None and not self.handshake_sent and self._connection is not None:
                # Whatever the server responds to the exception, nobody else closes the connection behind it.
                self._connection.refuse()
            # The hooks refer to the request, and the request to this object: only the garbage collector could free the
            # cycle.
            self.hooks = None

    def finish(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """End the connection of the request; return the response for the server."""
        self.end(response)
        if self.handshake_sent:
            if self._failed and response.status_code >= 400:
                # The response to a raised Http404, for example, would be logged by Django after all middleware, but the
                # EndedResponse takes its place.
                log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)  # type: ignore[arg-type]
            finish = None if self._connection is None else self._connection.finish
            return response_of_ended_websocket(response, finish)
        if self._protocol.request.host is None and self._step is not Step.REFUSED:
            # Another middleware has called get_host(), and Django has answered its error before the view was found.
            response = refuse(request, HandshakeError(BAD_HOST))
        return close_connection_after(response, request)


def is_handled(request: HttpRequest) -> bool:
    """Return whether the middleware, or another decorator of ours, has seen this request."""
    return _KEY in request.META


def close_connection_after(response: HttpResponseBase, request: HttpRequest) -> HttpResponseBase:
    """Return the response to a refused attempt; make the server close the client's connection behind it.

    The connection is closed because the client no longer speaks HTTP on it. Nothing of this depends on the response:
    other middleware may replace it, or store it in a cache.
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
    bodiless = response.status_code in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
    if isinstance(response, HttpResponse) and getattr(response, "is_rendered", True) and not bodiless:
        # Servers send a response of unknown length in chunks, which few clients of WebSockets expect.
        response.headers.setdefault("Content-Length", str(len(response.content)))
    try:
        servers.find(request.META).refuse()
    except SocketNotFound:
        if servers.closes_when_told(request.META):
            response.headers["Connection"] = "close"
    return response


def prepare_process() -> None:
    """Make the end of this process close its WebSockets, as far as the settings say so."""
    if conf.close_on_sigterm:
        close_on_exit()
    _adopt_worker()


def _adopt_worker() -> None:
    """Watch gunicorn's worker, if this process is one."""
    worker = find_worker()
    if worker is not None:
        adopt_worker(worker, close=conf.close_on_sigterm, limit=conf.max_connections)


def _is_a_websocket() -> bool:
    """Return ``True``; the value of ``request.is_websocket``. A closure would take memory for each connection."""
    return True


def _is_not_a_websocket() -> bool:
    return False


__all__ = ["WebSocketMiddleware"]
