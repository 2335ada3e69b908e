"""From the answer to a handshake to a verdict, as far as the answer alone shows it."""

from __future__ import annotations

import re
import string
from typing import Final
from urllib.parse import urljoin, urlsplit

from ..handshake import responses
from ..handshake.plain_http import WEBSOCKETS_ONLY
from .addresses import Address
from .clients import MAX_BODY, Answer

#: The verdict of an answer that leaves open which of the origins would be accepted.
ORIGIN_REFUSED: Final = "origin-refused"
#: The verdict of an answer that refuses the Host: the server got another one, or ALLOWED_HOSTS does not have it.
HOST_REFUSED: Final = "host-replaced"
#: The verdict of a 404: of Django, where the URLconf has no view at the address, or of the view.
NOT_FOUND: Final = "no-such-address"
#: The verdict of an answer that is a page: a proxy may have dropped the Upgrade, or the view never sees the request.
PAGE: Final = "upgrade-dropped-or-page"
#: The verdict of an answer of a view that takes no WebSockets.
NO_WEBSOCKETS: Final = "not-a-websocket-view"

#: What tokens are made of: base64, of either alphabet.
_IN_TOKENS: Final = f"{string.ascii_letters}{string.digits}+/=_-"
#: What varies between two answers that are the same page: tokens, and numbers, such as times.
_VARYING: Final = re.compile(rf"[{_IN_TOKENS}]{{16,}}|[0-9]+")

#: Parts of the reasons of this package's own refusals, and of one of nginx, with the verdict of each.
_REASONS: Final = (
    (WEBSOCKETS_ONLY, "upgrade-dropped"),
    (responses.NO_WEBSOCKETS, NO_WEBSOCKETS),
    ("a WebSocket handshake needs HTTP/1.1", "http-1.0"),
    ("the Connection header does not name upgrade", "connection-dropped"),
    ("the Origin is not allowed", ORIGIN_REFUSED),
    ("the Origin header is m", ORIGIN_REFUSED),  # missing, or malformed
    ("the Host header is ", HOST_REFUSED),
    ("the X-Forwarded-Host header is ", HOST_REFUSED),
    ("an ASGI server gives no access to its sockets", "asgi"),
    ("gives no access to its sockets", "server-without-socket"),
    ("carries no WebSockets", "server-without-socket"),
    ("cannot show its connection", "server-without-socket"),
    ("the server has no room", "full"),
    ("the server is restarting", "restarting"),
    ("plain HTTP request was sent to HTTPS port", "tls"),
)
#: The verdicts of answers without such a reason, by their status.
_STATUSES: Final = {
    401: "login",
    403: "login",
    404: NOT_FOUND,
    502: "backend-down",
    503: "backend-down",
    504: "backend-down",
}
#: What servers for ASGI call themselves in ``Server``.
_ASGI_SERVERS: Final = ("uvicorn", "daphne", "hypercorn")
#: The close codes that say what they are for: those of the HTTP status in their last digits, and two of RFC 6455's
#: registry.
_CLOSE_CODES: Final = {
    1012: "restarting",
    1013: "full",
    4401: "login",
    4403: "login",
    4404: "no-such-address",
}
#: The close codes of a view that has ended, or has closed its WebSocket.
_ON_PURPOSE: Final = frozenset({1000, 1001, 1005})
#: The close codes from this one on mean what the application says.
_APPLICATION: Final = 3000


def judge(answer: Answer, address: Address, login_urls: tuple[str, ...] = ()) -> str:
    """Return the word of the verdict on the answer to a handshake, ``ok`` if the WebSocket has opened.

    ``login_urls`` are the addresses of login pages.
    """
    if answer.timed_out and answer.status is None:
        return "no-answer"
    if answer.status == 101:
        if not answer.error:
            return "no-answer" if answer.timed_out else "ok"
        return "wrong-accept" if "Sec-WebSocket-Accept" in answer.error else "error"
    if answer.status is None:
        return "error"
    for reason, word in _REASONS:
        if reason in answer.body:
            return word
    if 300 <= answer.status < 400:
        return judge_redirect(answer, address, login_urls)
    return PAGE if 200 <= answer.status < 300 else _STATUSES.get(answer.status, "error")


def judge_redirect(answer: Answer, address: Address, login_urls: tuple[str, ...]) -> str:
    """Return ``login`` for a redirect to one of ``login_urls``, and ``redirect`` for any other."""
    here = address.origin + address.target
    target = urlsplit(urljoin(here, answer.header("location"))).path
    return "login" if target in {urlsplit(urljoin(here, url)).path for url in login_urls} else "redirect"


def judge_close(code: int, seconds: float, patience: float = 1.0) -> str:
    """Return the word of the verdict on a WebSocket that has ended by itself after ``seconds``.

    ``code`` is its close code. A view that ends its WebSocket on purpose is well; one that ends it with 1011 within
    ``patience`` seconds has raised an exception, as no worker is killed that soon.
    """
    if code == 1006:
        return "cut-when-idle"
    if code == 1011:
        return "killed" if seconds >= patience else "error"
    return _CLOSE_CODES.get(code, "ok" if code in _ON_PURPOSE or code >= _APPLICATION else "error")


def is_same_page(one: Answer, other: Answer) -> bool:
    """Return whether two answers are the same page, but for tokens and numbers, as far as their bodies were read.

    Django makes a new token against CSRF for each answer to a visitor without a cookie, and pages may say what time it
    is.
    """
    shorter, longer = sorted((_shape(one.body), _shape(other.body)), key=len)
    cut = _is_cut(one.body) or _is_cut(other.body)
    return one.status == other.status and (longer.startswith(shorter) if cut else longer == shorter)


def _shape(body: str) -> str:
    """Return the beginning of a page without what varies from answer to answer."""
    # What stands last may be the beginning of a token.
    return _VARYING.sub("", body.rstrip(_IN_TOKENS) if _is_cut(body) else body)


def _is_cut(body: str) -> bool:
    return len(body.encode()) >= MAX_BODY


def is_asgi(answer: Answer) -> bool:
    """Return whether an answer, to a plain request perhaps, comes from a server that is known to be one for ASGI."""
    return answer.header("server").lower().startswith(_ASGI_SERVERS)


def describe(answer: Answer) -> str:
    """Return one line on an answer: its status, who says so, and the reason or what else it is."""
    if answer.status is None:
        return answer.error or "there is no answer"
    said_by = ", ".join(f"{name.title()}: {answer.header(name)}" for name in ("server", "via") if answer.header(name))
    if answer.status == 101 and not answer.error:
        return _printable(f"101{f' ({said_by})' if said_by else ''}")
    kind = answer.header("content-type").partition(";")[0].strip()
    location = answer.header("location")
    reason = answer.error or (f"to {location}" if location else "")
    lines = answer.body.strip().splitlines()
    if not reason and kind == "text/plain" and lines:
        reason = lines[0]
    return _printable(f"{answer.status}{f' ({said_by})' if said_by else ''}: {reason or kind or 'no body'}")


def _printable(text: str) -> str:
    """Return text that a server has sent as one line that a terminal can be given."""
    return "".join(character if character.isprintable() else "?" for character in text)[:300]
