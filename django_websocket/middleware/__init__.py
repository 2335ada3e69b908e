"""The middleware: it gives a view its WebSocket, and ends the WebSocket after the view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest, HttpResponseBase

from ..conf import conf
from ..exceptions import HandshakeError
from ..handshake.marks import read_marks
from ..handshake.plain_http import answer_plain
from ..handshake.responses import refusal_of, refuse
from ..housekeeping.atomic_requests import exempt_from_transactions
from ..housekeeping.caches import vary_on_upgrade
from .preparation import prepare_process
from .refusals import report_refusal
from .upgrade import Upgrade, close_connection_after, is_handled

# The key in ``request.META`` that is set when the view takes both WebSockets and plain HTTP requests.
_TAKES_BOTH: Final = "django_websocket.takes_both"

GetResponse = Callable[..., HttpResponseBase]


class WebSocketMiddleware:
    """Adds ``is_websocket()`` and ``websocket`` to every request, and ends the WebSocket of a view that has returned.

    Requests get ``build_websocket_uri()`` as well. The middleware has to be first in ``MIDDLEWARE``. Without it, the
    decorators do the same for their own views.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        prepare_process()

    def __call__(self, request: HttpRequest, *args: Any) -> HttpResponseBase:
        """Serve a request; ``args`` are for subclasses, whose ``get_response`` takes more.

        The method calls no helper around the view: each frame takes memory for as long as the view waits, once for each
        connection.
        """
        if is_handled(request):
            # The middleware is listed twice, or a subclass of it beside it: the first one serves the request.
            return self.get_response(request, *args)
        try:
            upgrade = Upgrade.parse(request)
        except HandshakeError as error:
            return report_refusal(request, close_connection_after(refuse(request, error), request))
        try:
            response = self.get_response(request, *args)
        except BaseException:
            if upgrade is not None:
                upgrade.end(None)
            raise
        if upgrade is not None:
            response = upgrade.finish(request, response)
        elif response.status_code >= 400 and refusal_of(request) is not None:
            report_refusal(request, response)
        return vary_on_upgrade(response) if _TAKES_BOTH in request.META else response

    def process_view(self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any) -> HttpResponseBase | None:
        """Return the refusal of a request that the view does not take, as far as its marks show that already.

        ``request.websocket`` is set here if the options of the view's WebSockets are known. Otherwise the wrapper
        inside the view sets it.
        """
        marks = read_marks(view)
        if marks.decorated:
            exempt_from_transactions(view)
        if (marks.marked or conf.accept_all) and not marks.required:
            request.META[_TAKES_BOTH] = True
        upgrade = Upgrade.of(request)
        if upgrade is not None:
            return upgrade.enter_view(request, marks)
        return answer_plain(request, required=marks.required)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Return the response to ``ConnectionClosed`` after the handshake; leave every other exception to Django."""
        upgrade = Upgrade.of(request)
        return None if upgrade is None else upgrade.note_exception(exception)


__all__ = ["WebSocketMiddleware"]
