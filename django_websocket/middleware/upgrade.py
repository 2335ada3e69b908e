"""A request's attempt to open a WebSocket: parsed, admitted or refused, and ended. All layers meet here."""

from __future__ import annotations

import enum
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from django.core.signals import got_request_exception
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.log import log_response

from .. import protocols, servers
from ..conf import conf
from ..exceptions import ConnectionClosed, HandshakeError, SocketNotFound
from ..handshake.django_settings import read_setting
from ..handshake.marks import Marks, WrapperOptions
from ..handshake.origins import check_origins
from ..handshake.redirects import log_redirect
from ..handshake.requests import host_error, parse
from ..handshake.responses import (
    NO_WEBSOCKETS,
    escape_for_log,
    refuse,
    replace,
    response_of_ended_websocket,
    takes_no_websockets,
    unavailable,
)
from ..handshake.uris import URIBuilder
from ..housekeeping.caches import keep_out_of_caches
from ..housekeeping.hooks import DjangoHooks
from ..process.registry import registry
from ..protocols.base import Protocol
from ..protocols.close_codes import CloseCode
from ..websocket import WebSocket
from .preparation import prepare_process, watch_log_outs
from .refusals import report_refusal

logger = logging.getLogger("django_websocket.handshake")

# The key in ``request.META`` of the request's Upgrade; its value is ``None`` for a plain HTTP request.
_KEY: Final = "django_websocket.upgrade"


class Step(enum.Enum):
    """The progress of an attempt to open a WebSocket."""

    #: The handshake is well-formed. Its view is not known yet.
    PARSED = enum.auto()
    #: The view, which is not marked, runs without a WebSocket. A wrapper inside it may still admit the request.
    UNMARKED = enum.auto()
    #: The view is marked, and the wrapper inside it will decide. Other decorators run first, and may answer.
    MARKED = enum.auto()
    #: The request may not become a WebSocket.
    REFUSED = enum.auto()
    #: The view has its WebSocket and is counted by the registry. The view sends the handshake.
    ADMITTED = enum.auto()
    #: The view has returned, and its WebSocket has ended.
    ENDED = enum.auto()


class Upgrade:
    """A request's attempt to open a WebSocket: parsed, then admitted or refused, and ended."""

    __slots__ = (
        "_connection",
        "_error",
        "_failed",
        "_options",
        "_protocol",
        "_reported",
        "_step",
        "hooks",
        "websocket",
        "wrapped",
    )

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._step = Step.PARSED
        #: The options with which the request was admitted; ``None`` before.
        self._options: Mapping[str, Any] | None = None
        #: The options of the wrappers of this package that have begun to run; those of an outer one come first.
        self.wrapped: Mapping[str, Any] = {}
        #: The refusal of a wrapper; ``None`` if there was none.
        self._error: HandshakeError | None = None
        #: Whether the view has raised an exception after the handshake, other than the ConnectionClosed of its own
        #: connection.
        self._failed = False
        #: Whether the signal ``got_request_exception`` has reported an exception, of the view or of other code.
        self._reported = False
        #: The client's connection, once the server was asked for it.
        self._connection: servers.ClientConnection | None = None
        #: The WebSocket of the view and its hooks, set when the request is admitted; the hooks are ``None`` again at
        #: the end.
        self.websocket: WebSocket | None = None
        self.hooks: DjangoHooks | None = None

    @classmethod
    def parse(cls, request: HttpRequest) -> Upgrade | None:
        """Return the attempt of a request, ``None`` for plain HTTP; set the attributes of this package.

        They are ``is_websocket``, ``websocket`` and ``build_websocket_uri``.

        :raises HandshakeError: the handshake is malformed, or of none of the versions in ``WEBSOCKET_PROTOCOLS``.
        """
        request.META[_KEY] = None
        request.is_websocket = _is_not_a_websocket  # type: ignore[attr-defined]
        request.websocket = None  # type: ignore[attr-defined]
        request.build_websocket_uri = URIBuilder(request)  # type: ignore[attr-defined]
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

    def enter_view(self, request: HttpRequest, marks: Marks) -> HttpResponseBase | None:
        """Begin with the view of the request, or return the refusal; do nothing if it has begun already."""
        if self._step is not Step.PARSED:
            return None
        keep_out_of_caches(request)
        options = {} if conf.accept_all and not marks.marked else marks.options
        if options is not None:
            return self._admit(request, options)
        self._step = Step.MARKED if marks.marked else Step.UNMARKED
        return None

    def enter_wrapper(self, request: HttpRequest, options: WrapperOptions) -> HttpResponseBase | None:
        """Set ``request.websocket`` for a wrapper with these options, or return the refusal.

        Wrappers may be inside others: the options of an outer one override those of an inner one. If the request was
        admitted with other options before the wrapper was known, it is checked again.

        :raises RuntimeError: the handshake was sent with other options.
        """
        keep_out_of_caches(request)
        if self._step is Step.REFUSED or self._step is Step.ENDED:
            return None
        if self._error is not None:
            # The request was admitted before the wrapper that refused it was known. Another view, which is called in
            # place of that one, does not get it either.
            return refuse(request, self._error)
        self.wrapped = {**options, **self.wrapped} if self.wrapped else options
        if not options.complete or self.wrapped == self._options:
            return None
        if self.handshake_sent:
            raise RuntimeError("a decorated view was called with a WebSocket that was opened without its options")
        return self._admit(request, self.wrapped)

    def _admit(self, request: HttpRequest, options: Mapping[str, Any]) -> HttpResponseBase | None:
        """Set ``request.websocket``, or return the refusal."""
        try:
            self.websocket = self._make_websocket(request, options)
        except HandshakeError as error:
            # The traceback would be a cycle, as its frames refer to this object.
            self._error = error.with_traceback(None)
            refusal = refuse(request, error)
        except SocketNotFound as error:
            refusal = refuse(request, HandshakeError(str(error)), logging.ERROR)
        else:
            self._options = options
            request.websocket = self.websocket  # type: ignore[attr-defined]
            return None
        request.websocket = None  # type: ignore[attr-defined]
        if self._step is not Step.ADMITTED:
            self._step = Step.REFUSED
        return refusal

    def _make_websocket(self, request: HttpRequest, given: Mapping[str, Any]) -> WebSocket:
        """Return the WebSocket of a request, after its checks in the order of the documentation.

        :raises HandshakeError: the Host or the Origin is not allowed, or the process takes no more WebSockets.
        :raises SocketNotFound: the server gives no access to its socket.
        """
        protocol = self._protocol
        options = conf.options(given)
        if protocol.request.host is None:
            raise host_error(request)
        check_origins(
            protocol.origins,
            host=protocol.request.host,
            secure=protocol.request.secure,
            allowed=options.allowed_origins,
            trusted=read_setting("CSRF_TRUSTED_ORIGINS"),
            require=options.require_origin,
            meta=request.META,
        )
        if self._connection is None:
            self._connection = servers.find(request.META)
        name = escape_for_log(request.path)
        hooks = self.hooks or self._take_room(request, name)
        protocol.max_message_size = options.max_message_size
        protocol.max_fragments = options.max_fragments
        protocol.compression = options.compression
        return WebSocket(protocol, self._connection.take_over, options, hooks, name)

    def _take_room(self, request: HttpRequest, name: str) -> DjangoHooks:
        """Count the view of a request that is admitted, and return its hooks.

        :raises HandshakeError: the process takes no more WebSockets.
        """
        # Only now is a WebSocket certain to be in this process. The server may have set its signal handlers, or forked,
        # since the middleware was made.
        prepare_process()
        watch_log_outs()
        if registry.draining:
            raise unavailable("the server is restarting")
        if not registry.enter(conf.max_connections):
            raise unavailable("the server has no room for more WebSockets")
        self._step = Step.ADMITTED
        self.hooks = DjangoHooks(request, name, keep_databases=conf.db == "keep", revalidate_interval=conf.revalidate)
        return self.hooks

    def note_exception(self, exception: Exception) -> HttpResponseBase | None:
        """Return the response to ``ConnectionClosed`` after the handshake; record any other exception instead.

        A view need not catch ``ConnectionClosed``: it only says that the connection has ended. A
        ``ConnectionClosed`` of another connection, to which the view has sent, is an exception like any other.
        """
        if not self.handshake_sent:
            return None
        if isinstance(exception, ConnectionClosed) and (exception.source or self._protocol) is self._protocol:
            return response_of_ended_websocket()
        self._failed = True
        return None

    def note_report(self) -> None:
        """Record that an exception was reported, which may be the view's, a template's or another middleware's."""
        self._reported = True

    def end(self, response: HttpResponseBase | None) -> None:
        """End the WebSocket of a view that has returned, if it got one; ``None``: the view was interrupted.

        A status that the view returns after the handshake has no effect, not even 500. The connection ends as failed
        if Django has made that status of an exception.
        """
        if self._step is not Step.ADMITTED:
            return
        self._step = Step.ENDED
        try:
            if self.websocket is not None:
                failed = self._failed or response is None or (self._reported and response.status_code >= 500)
                code = CloseCode.INTERNAL_ERROR if failed else CloseCode.NORMAL_CLOSURE
                self.websocket.end(code, wait=response is not None)
        finally:
            # The hooks refer to the request, and the request to this object: only the garbage collector could free the
            # cycle.
            hooks, self.hooks = self.hooks, None
            try:
                # The end of the process waits for this report, as long as the view is counted.
                if hooks is not None:
                    hooks.after_end()
            finally:
                self._leave(interrupted=response is None)

    def _leave(self, *, interrupted: bool) -> None:
        """Stop counting the view; refuse the client of one that was interrupted before the handshake."""
        registry.leave()
        if interrupted and not self.handshake_sent and self._connection is not None:
            # Whatever the server responds to the exception, nobody else closes the connection behind it.
            self._connection.refuse()

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
        return report_refusal(request, close_connection_after(self._check_answer(request, response), request))

    def _check_answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the response to an attempt that has become no WebSocket: ``response``, or a refusal in its place."""
        status = response.status_code
        if self._step is Step.UNMARKED:
            # The view was called as plain Django would call it, because a decorator might have been inside. A
            # response that is an error remains: frameworks convert the exceptions of a view to responses.
            if status >= 400:
                return response
            return replace(response, refuse(request, takes_no_websockets(redirected=status >= 300)))
        if self._step in {Step.PARSED, Step.MARKED} and self._protocol.request.host is None:
            # Another middleware or decorator has called get_host(), and Django has answered its error.
            return replace(response, refuse(request, host_error(request)))
        if not 200 <= status < 300:
            return response
        if self._step is Step.PARSED:
            # The response may be a page that a cache keeps for the address.
            detail = f"another middleware, such as a cache, answered with {status} before the view was reached"
            return replace(response, refuse(request, HandshakeError(NO_WEBSOCKETS, detail=detail)))
        logger.warning(
            "WebSocket refused at %s by an answer with status %d before the handshake: a view opens the WebSocket when "
            "it uses request.websocket or returns None. If a cache has answered for it, put the cache outside the "
            "decorator of this package",
            escape_for_log(request.path),
            status,
        )
        return response


def is_handled(request: HttpRequest) -> bool:
    """Return whether the middleware, or another decorator of ours, has seen this request."""
    return _KEY in request.META


def close_connection_after(response: HttpResponseBase, request: HttpRequest) -> HttpResponseBase:
    """Return the response to a refused attempt; make the server close the client's connection behind it.

    The connection is closed because the client no longer speaks HTTP on it. Where the server gives access to its
    sockets, this does not depend on the response: other middleware may replace it, or store it in a cache.
    """
    if response.status_code < 200:
        logger.error("A view answered a WebSocket with status %d", response.status_code)
        response = HttpResponse(status=500)
    elif 300 <= response.status_code < 400:
        log_redirect(request, response)
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


@receiver(got_request_exception, dispatch_uid="django_websocket.middleware")
def _note_report(request: HttpRequest | None = None, **_: Any) -> None:
    """Record an exception that Django reports for a request which may have become a WebSocket."""
    upgrade = getattr(request, "META", {}).get(_KEY)
    if upgrade is not None:
        upgrade.note_report()


def _is_a_websocket() -> bool:
    """Return ``True``; the value of ``request.is_websocket``. A closure would take memory for each connection."""
    return True


def _is_not_a_websocket() -> bool:
    return False
