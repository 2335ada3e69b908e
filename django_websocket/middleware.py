"""The composition root: from the environ to the view, and to the end of its WebSocket."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.core.handlers.exception import response_for_exception
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.log import log_response

from . import protocols, servers
from .conf import conf
from .exceptions import ConnectionClosed, HandshakeError, SocketNotFound
from .gunicorn.workers import meet_worker
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

_KEY: Final = "django_websocket.attempt"

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class WebSocketMiddleware:
    """Give every request ``is_websocket()`` and ``websocket``, and see a WebSocket's view to its end.

    First in ``MIDDLEWARE``. Without it, the decorators do the same for their own views.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        if conf.close_on_sigterm:
            close_on_exit()
        meet_worker()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve a request, in one frame: it is there while a view waits, for each connection."""
        attempt = Attempt.attach(request)
        if attempt.error is not None:
            return attempt.close_after(request, refuse(request, attempt.error))
        if attempt.protocol is None:
            return self.get_response(request)
        try:
            response = self.get_response(request)
        except BaseException:
            attempt.end(request, None)
            raise
        return attempt.finish(request, response, attempt.protocol)

    def process_view(self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any) -> HttpResponseBase | None:
        """Refuse what the view does not take; else give it its WebSocket."""
        return Attempt.of(request).enter(request, view)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Note an exception of a view whose handshake was sent; Django answers and logs it as any other's."""
        return note_exception(request, exception)


def note_exception(request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
    """Note an exception of a view; gives a response where it is none of Django's business."""
    return Attempt.of(request).fail(request, exception)


def see_through(request: HttpRequest) -> DjangoHooks:
    """Give the context in which the view of a WebSocket is to run, where it is called by a decorator of ours."""
    attempt = Attempt.of(request)
    assert attempt.hooks is not None
    return attempt.hooks


def is_handled(request: HttpRequest) -> bool:
    """Tell whether the middleware, or another decorator of ours, sees to this request."""
    return _KEY in request.META


def handle(marked: Any, request: HttpRequest, args: Any, kwargs: Any) -> HttpResponseBase:
    """Do for one request of a decorated view what the middleware does for all of them."""

    def get_response(request: HttpRequest) -> HttpResponseBase:
        # From here on the request counts as handled, and the view is called.
        refusal = middleware.process_view(request, marked, args, kwargs)
        if refusal is not None:
            return refusal
        try:
            response: HttpResponseBase = marked(request, *args, **kwargs)
        except Exception as exception:
            websocket = _websocket(request)
            if websocket is not None and not websocket.handshake_sent:
                _close_with(request)
            if websocket is None or not websocket.handshake_sent:
                raise
            # Answered here and not further out, as the connection ends here.
            return middleware.process_exception(request, exception) or response_for_exception(request, exception)
        return response

    middleware = WebSocketMiddleware(get_response)
    return middleware(request)


def _close_with(request: HttpRequest) -> None:
    """Have the connection of a refused attempt closed with its request, whatever Django answers to an exception."""
    close, link = request.close, Attempt.of(request).link

    def close_both() -> None:
        close()
        if link is not None:
            link.refuse()

    request.close = close_both  # type: ignore[method-assign]


class Attempt:
    """What becomes of one request: whether it attempts a WebSocket, and how far it gets."""

    __slots__ = ("counted", "error", "failed", "hooks", "link", "protocol", "refused")

    def __init__(self, request: HttpRequest) -> None:
        self.protocol: Protocol | None = None
        self.error: HandshakeError | None = None
        self.link: servers.Link | None = None
        self.counted = False
        self.refused = False
        self.failed = False
        self.hooks: DjangoHooks | None = None
        parsed = parse(request)
        if parsed.is_upgrade:
            try:
                self.protocol = protocols.choose(parsed, conf.protocols)
            except HandshakeError as error:
                self.error = error

    @classmethod
    def attach(cls, request: HttpRequest) -> Attempt:
        """Make the attempt of a request, and give the request what views use."""
        attempt = request.META[_KEY] = cls(request)
        request.is_websocket = _no if attempt.protocol is None else _yes  # type: ignore[attr-defined]
        request.websocket = None  # type: ignore[attr-defined]
        return attempt

    @classmethod
    def of(cls, request: HttpRequest) -> Attempt:
        """Give the attempt of a request that the middleware has seen."""
        attempt: Attempt = request.META[_KEY]
        return attempt

    def end(self, request: HttpRequest, response: HttpResponseBase | None) -> None:
        """End the request's WebSocket, where it got one; without a ``response`` its view was interrupted."""
        try:
            if (websocket := _websocket(request)) is not None:
                failed = self.failed or response is None or response.status_code >= 500
                code = CloseCode.INTERNAL_ERROR if failed else CloseCode.NORMAL_CLOSURE
                websocket.end(code, wait=response is not None)
        finally:
            if self.counted:
                registry.leave()
            # It refers to the request, which refers to this.
            self.hooks = None

    def finish(self, request: HttpRequest, response: HttpResponseBase, protocol: Protocol) -> HttpResponseBase:
        """End the connection of a request that attempted a WebSocket; gives the response for Django's part of it."""
        self.end(request, response)
        websocket = _websocket(request)
        if websocket is not None and websocket.handshake_sent:
            if self.failed and response.status_code >= 400:
                # A 404 that was raised, say: Django would log it when it has gone through all middleware.
                log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)  # type: ignore[arg-type]
            return response_of_ended_websocket(response, self.link)
        if protocol.request.host is None and not self.refused:
            # Another middleware has asked for the host before the view was found.
            response = refuse(request, HandshakeError(BAD_HOST))
        return self.close_after(request, response)

    def enter(self, request: HttpRequest, view: Any) -> HttpResponseBase | None:
        """Check a request against its view (in the order of the documentation) and give the view its WebSocket."""
        while isinstance(view, partial):
            view = view.func
        try:
            if self.protocol is not None:
                request.websocket = self._admit(request, view, self.protocol)  # type: ignore[attr-defined]
            elif getattr(view, "require_websocket", False):
                return refuse_plain(request)
        except HandshakeError as error:
            self.refused = True
            return refuse(request, error)
        except SocketNotFound as error:
            self.refused = True
            return refuse(request, HandshakeError(str(error)), logging.ERROR)
        return None

    def fail(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Take note of a view's exception; gives a response where it is none of Django's business."""
        websocket = _websocket(request)
        if websocket is None or not websocket.handshake_sent:
            return None
        if isinstance(exception, ConnectionClosed):
            return response_of_ended_websocket()
        self.failed = True
        return None

    def _admit(self, request: HttpRequest, view: Any, protocol: Protocol) -> WebSocket:
        """Make the WebSocket for a view.

        :raises HandshakeError: the view does not take it, or it is not allowed here and now.
        :raises SocketNotFound: the server has no socket for it.
        """
        if not (conf.accept_all or any(getattr(view, mark, False) for mark in MARKS)):
            raise HandshakeError("this address takes no WebSockets")
        options = conf.options(getattr(view, OPTIONS, {}))
        host, secure = protocol.request.host, protocol.request.secure
        if host is None:
            raise HandshakeError(BAD_HOST)
        check_origin(
            protocol.origin,
            host=host,
            secure=secure,
            allowed=options.allowed_origins,
            trusted=settings.CSRF_TRUSTED_ORIGINS,
            require=options.require_origin,
        )
        self.link = servers.find(request.META)
        meet_worker()
        if registry.draining:
            raise unavailable("the server is restarting")
        self.counted = registry.enter(conf.max_connections)
        if not self.counted:
            raise unavailable("the server has no room for more WebSockets")
        protocol.max_message_size = options.max_message_size
        protocol.max_fragments = options.max_fragments
        protocol.compression = options.compression
        name = escape_for_log(request.path)
        self.hooks = DjangoHooks(request, name, keep_databases=conf.db == "keep", revalidate_interval=conf.revalidate)
        return WebSocket(
            protocol,
            self.link.take_over,
            subprotocols=options.subprotocols,
            ping_interval=options.ping_interval,
            ping_timeout=options.ping_timeout,
            send_timeout=options.send_timeout,
            close_timeout=options.close_timeout,
            handshake_timeout=options.handshake_timeout,
            encoder=DjangoJSONEncoder,
            name=name,
            hooks=self.hooks,
        )

    def close_after(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Have the connection closed behind a refusal; the client has begun to speak something else than HTTP."""
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
            link = self.link or servers.find(request.META)
        except SocketNotFound:
            if servers.closes_when_told(request.META):
                response.headers["Connection"] = "close"
            return response
        link.refusing()
        response._resource_closers.append(link.refuse)  # type: ignore[attr-defined]  # noqa: SLF001 - runs in close()
        return response


def _websocket(request: HttpRequest) -> WebSocket | None:
    websocket: WebSocket | None = request.websocket  # type: ignore[attr-defined]
    return websocket


def _yes() -> bool:
    return True


def _no() -> bool:
    return False


__all__ = ["WebSocketMiddleware"]
