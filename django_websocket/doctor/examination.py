"""The examination of an address: its checks in their order, up to the first that explains what is wrong."""

from __future__ import annotations

import secrets
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ..handshake.plain_http import WEBSOCKETS_ONLY
from ..protocols.base import Protocol
from ..protocols.hixie75 import Hixie75
from ..protocols.hixie76 import Hixie76
from ..protocols.http import Request
from ..protocols.rfc6455 import RFC6455
from . import project
from .addresses import Address
from .answers import (
    HOST_REFUSED,
    NO_WEBSOCKETS,
    NOT_FOUND,
    ORIGIN_REFUSED,
    PAGE,
    describe,
    is_asgi,
    is_same_page,
    judge,
)
from .clients import Answer, Client, ask
from .deadlines import Deadline
from .dialing import Place, connect, look_up, start_tls
from .exchange import Exchange
from .origins import candidates, describe_origins, judge_origins
from .reports import Report, Status
from .verdicts import VERDICTS

#: The classes that speak each version.
PROTOCOLS: Final[Mapping[int, type[Protocol]]] = {
    version: protocol for protocol in (RFC6455, Hixie76, Hixie75) for version in protocol.versions
}
#: The versions that no browser of today speaks, and that many a proxy does not know.
_OLDEST: Final = frozenset({*Hixie76.versions, *Hixie75.versions})
#: Seconds that the server may take to end a WebSocket that is not used.
_CLOSE_TIMEOUT: Final = 1.0
#: Characters of a body that the report repeats.
_MAX_SHOWN: Final = 200


@dataclass(frozen=True)
class Options:
    """What to examine, and how long to wait."""

    #: The Origin to send; ``None``: that of a page with the same host and port; empty: none.
    origin: str | None = None
    #: Further header fields, by lower-case name.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: The versions to try, the first of them in full; empty: those that the project speaks.
    versions: tuple[int, ...] = ()
    #: Seconds of silence. It should be longer than WEBSOCKET_PING_INTERVAL.
    idle: float = 25.0
    #: Seconds for each wait but that one.
    timeout: float = 5.0
    #: A message to send, whose echo is awaited; ``None``: none.
    message: str | None = None
    #: Whether any certificate is accepted.
    insecure: bool = False


def examine(address: Address, options: Options) -> Report:
    """Return the report on an address. Each wait has a deadline, and no error of the network is raised.

    :raises ValueError: a handshake cannot carry one of the header fields.
    """
    return _Examination(address, options).run()


class _Examination:
    """One examination, which is run once."""

    def __init__(self, address: Address, options: Options) -> None:
        self._address = address
        self._options = options
        self._report = Report(address.url)
        self._places: list[Place] = []
        versions = options.versions or project.speaks()
        self._version, *self._further_versions = versions
        # The handshakes are written once before anything is dialled, to see that they can be.
        for version in versions:
            self._protocol(version, self._own_origin).connect()

    def run(self) -> Report:
        """Make the checks in their order, and return the report."""
        word = self._dial() or self._talk()
        self._report.verdict = VERDICTS[word]
        return self._report

    # The way there

    def _dial(self) -> str | None:
        """Check the name, TCP and TLS; return the verdict if one of them fails."""
        address, options, report = self._address, self._options, self._report
        deadline = Deadline(options.timeout)
        try:
            self._places = look_up(address, options.timeout)
        except OSError as error:
            report.add("dns", "fail", f"{address.host}: {_reason(error)}", deadline.spent_ms)
            return "unreachable"
        numbers = list(dict.fromkeys(str(place.address[0]) for place in self._places))
        report.add("dns", "ok", f"{address.host} is {', '.join(numbers)}", deadline.spent_ms, {"addresses": numbers})
        deadline = Deadline(options.timeout)
        try:
            sock = connect(self._places, options.timeout)
        except OSError as error:
            report.add("tcp", "fail", f"port {address.port}: {_reason(error)}", deadline.spent_ms)
            return "unreachable"
        report.add("tcp", "ok", f"port {address.port} of {sock.getpeername()[0]} answers", deadline.spent_ms)
        if not address.secure:
            sock.close()
            report.add("tls", "skip", "the address is not wss://")
            return None
        deadline = Deadline(options.timeout)
        try:
            secured = start_tls(sock, address, options.timeout, insecure=options.insecure)
        except OSError as error:
            report.add("tls", "fail", _reason(error), deadline.spent_ms)
            return "no-answer" if isinstance(error, TimeoutError) else "tls"
        with secured:
            report.add("tls", "ok", f"{secured.version()}{', any certificate' * options.insecure}", deadline.spent_ms)
        return None

    def _protocol(self, version: int, origin: str | None) -> Protocol:
        headers = dict(self._options.headers)
        if origin:
            headers["origin"] = origin
        request = Request(headers, "GET", self._address.target, self._address.netloc, self._address.secure)
        return PROTOCOLS[version](request, client=True, version=version)

    @property
    def _own_origin(self) -> str | None:
        return self._address.origin if self._options.origin is None else self._options.origin

    def _connect(self) -> socket.socket:
        """Return a connected socket, with TLS if the address has it.

        :raises OSError: that was not possible.
        """
        sock = connect(self._places, self._options.timeout)
        if not self._address.secure:
            return sock
        return start_tls(sock, self._address, self._options.timeout, insecure=self._options.insecure)

    def _try(self, version: int, origin: str | None) -> Answer:
        """Return the answer to a handshake whose WebSocket is not used."""
        try:
            with Client(self._connect(), self._protocol(version, origin)) as client:
                answer = client.open(self._options.timeout)
                client.protocol.close()
                client.wait(lambda: False, min(self._options.timeout, _CLOSE_TIMEOUT))
                return answer
        except OSError as error:
            return Answer(error=_reason(error), timed_out=isinstance(error, TimeoutError))

    def _ask(self, target: str) -> Answer:
        """Return the answer to a plain request."""
        extra = "".join(f"{name.title()}: {value}\r\n" for name, value in self._options.headers.items())
        head = f"GET {target} HTTP/1.1\r\nHost: {self._address.netloc}\r\nConnection: close\r\n{extra}\r\n"
        try:
            return ask(self._connect(), head.encode("latin-1"), self._options.timeout)
        except OSError as error:
            return Answer(error=_reason(error), timed_out=isinstance(error, TimeoutError))

    # The handshake

    def _talk(self) -> str:
        """Open a WebSocket and use it; return the verdict."""
        deadline = Deadline(self._options.timeout)
        answer = self._try(self._version, self._own_origin)
        took = deadline.spent_ms
        word = judge(answer, self._address, project.login_urls())
        text = f"not answered within {self._options.timeout:g} s" if word == "no-answer" else describe(answer)
        data = {
            "status": answer.status,
            "server": answer.header("server"),
            "via": answer.header("via"),
            "body": answer.body[:_MAX_SHOWN],
        }
        fits = word in {"ok", "wrong-accept"}
        self._report.add("handshake", "ok" if fits else "fail", text, took, data)
        if word == "wrong-accept":
            self._report.add("accept-key", "fail", answer.error)
        if word != "ok":
            return self._look_closer(word, answer)
        self._report.add("accept-key", "ok", "the answer belongs to the handshake")
        return self._check_versions() or self._use()

    def _look_closer(self, word: str, answer: Answer) -> str:
        """Return the verdict on a refusal after further questions, where the answer leaves it open."""
        if word == ORIGIN_REFUSED:
            return self._check_origins()
        if word == HOST_REFUSED:
            self._check_host()
        if word == NOT_FOUND:
            self._check_view()
        if word == PAGE:
            return self._check_page(answer)
        if answer.status is None and word == "error":
            return self._check_silence()
        if answer.status in {403, 500} and word in {"login", "error"}:
            if self._is_asgi(answer):
                return "asgi"
            return NO_WEBSOCKETS if answer.status == 500 and self._is_undecorated() else word
        return word

    def _check_host(self) -> None:
        """Look whether the project has the host, so that a proxy must have replaced it."""
        host = self._address.netloc
        allowed = project.allows_host(host)
        if allowed is None:
            self._report.add("host", "skip", "the ALLOWED_HOSTS of this project cannot be read")
        elif allowed:
            text = f"ALLOWED_HOSTS of this project has {host}: a proxy in front does not pass it on"
            self._report.add("host", "ok", text)
        else:
            self._report.add("host", "fail", f"ALLOWED_HOSTS of this project does not have {host}")

    def _check_view(self) -> None:
        """Look whether the project has a view at the address, which may have answered 404 itself."""
        if project.takes_websockets(self._address.path) is None:
            self._report.add("view", "fail", "this project has no view at the address")
        else:
            text = "this project has a view at the address: it may have found nothing, as get_object_or_404() does"
            self._report.add("view", "ok", text)

    def _is_undecorated(self) -> bool:
        """Return whether a 500 comes from a view that takes no WebSockets, as far as the project says."""
        if project.takes_websockets(self._address.path) is not False:
            return False
        what = "is None there" if project.has_middleware() else "does not exist, as WebSocketMiddleware is missing too"
        self._report.add("view", "fail", f"the view at the address is not decorated: request.websocket {what}")
        return True

    def _check_origins(self) -> str:
        """Try the origins that tell the mistakes of proxies apart."""
        deadline = Deadline(self._options.timeout)
        tried: dict[str | None, bool] = {}
        for origin in candidates(self._address).values():
            if origin not in tried:
                answer = self._try(13, origin)
                # Who is sent to a login, for example, has come past the check of the Origin.
                tried[origin] = answer.status is not None and judge(answer, self._address) != ORIGIN_REFUSED
        accepted = {name: tried[origin] for name, origin in candidates(self._address).items()}
        word = judge_origins(accepted, self._address, listed=project.lists_origins(self._address.path))
        self._report.add("origins", "fail", describe_origins(accepted, self._address), deadline.spent_ms, accepted)
        return word

    def _check_silence(self) -> str:
        """Look whether what answers no HTTP speaks TLS."""
        if self._address.secure:
            return "error"
        deadline = Deadline(self._options.timeout)
        try:
            sock = connect(self._places, self._options.timeout)
            start_tls(sock, self._address, self._options.timeout, insecure=True).close()
        except OSError:
            return "error"
        self._report.add("tls", "fail", "the port speaks TLS, which ws:// does not", deadline.spent_ms)
        return "tls"

    def _check_page(self, page: Answer) -> str:
        """Find out who has answered with a page: what answers everywhere, the view, or the view without an Upgrade."""
        deadline = Deadline(self._options.timeout)
        invented = self._ask(f"{self._address.path.rstrip('/')}/websocket-doctor-{secrets.token_hex(4)}/")
        plain = self._ask(self._address.target)
        takes = project.takes_websockets(self._address.path)
        if WEBSOCKETS_ONLY in plain.body:
            # The page is none that a plain request gets, so that the Upgrade has reached the view.
            word, text = "error", "the view answers with a page instead of opening the WebSocket"
        elif invented.status is not None and 200 <= invented.status < 300:
            word, text = PAGE, "an address that was made up gets a page as well: the server may not have been asked"
        elif takes is None:
            word, text = PAGE, "this project has no view at the address"
        elif not takes:
            word, text = NO_WEBSOCKETS, "the view at the address is not decorated"
        elif is_same_page(plain, page):
            word, text = "upgrade-dropped", "the view takes WebSockets, but answers as it answers a plain request"
        else:
            word, text = PAGE, "the view takes WebSockets, and a plain request gets another page"
        data = {"made_up_status": invented.status, "plain_status": plain.status}
        self._report.add("page", "fail", text, deadline.spent_ms, data)
        return word

    def _is_asgi(self, answer: Answer) -> bool:
        """Return whether a refusal that has no reason of ours comes from an ASGI server."""
        deadline = Deadline(self._options.timeout)
        plain = self._ask(self._address.target)
        named = is_asgi(answer) or is_asgi(plain)
        # Django's own page for an error is HTML; the ASGI servers write this themselves, for a WebSocket only.
        bare = answer.status == 500 and answer.body.strip() == "Internal Server Error"
        found = named or (project.looks_like_asgi() and (bare or answer.status == 403))
        text = f"a plain request is answered with {describe(plain)}"
        self._report.add("plain", "fail" if found else "ok", text, deadline.spent_ms, {"status": plain.status})
        return found

    def _check_versions(self) -> str | None:
        """Try the further versions; return a verdict if one fails that was asked for."""
        deadline = Deadline(self._options.timeout)
        answers = {version: self._try(version, self._own_origin) for version in self._further_versions}
        found = {version: judge(answer, self._address) for version, answer in answers.items()}
        bad = [version for version, word in found.items() if word != "ok"]
        good = [self._version, *(version for version in found if version not in bad)]
        text = f"{', '.join(map(str, good))} open"
        if bad:
            text += "; " + "; ".join(f"{version} does not: {describe(answers[version])}" for version in bad)
        asked = bool(bad and self._options.versions)
        missed = bad if project.names_versions() else set(bad) - _OLDEST
        status: Status = "fail" if asked else "warn" if missed else "ok"
        took = deadline.spent_ms if answers else None
        self._report.add("versions", status, text, took, {"open": good, "refused": bad})
        return "error" if asked else None

    # The open WebSocket

    def _use(self) -> str:
        """Check what happens on an open WebSocket; return the verdict.

        It is another one than that of the first check, because a server may be able to hold one at a time only.
        """
        try:
            client = Client(self._connect(), self._protocol(self._version, self._own_origin))
        except OSError as error:
            self._report.add("ping", "fail", f"the second connection: {_reason(error)}")
            return "unreachable"
        with client:
            answer = client.open(self._options.timeout)
            word = judge(answer, self._address, project.login_urls())
            if word != "ok":
                self._report.add("ping", "fail", f"the second WebSocket: {describe(answer)}")
                return word
            exchange = Exchange(client, self._report, self._options.timeout)
            exchange.check_ping()
            word = exchange.check_idle(self._options.idle)
            if client.is_open:
                if self._options.message is not None:
                    exchange.check_echo(self._options.message)
                exchange.check_close()
            return word


def _reason(error: OSError) -> str:
    """Return one line on an error of the network."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return str(error) if error.args and "within" in str(error) else "no answer in time"
    return error.strerror or str(error) or type(error).__name__
