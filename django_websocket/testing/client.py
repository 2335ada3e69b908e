"""WebSockets in Django's tests.

:class:`WebSocketClient` runs a view in a greenlet of the test's own thread: its database connection and transaction are
the test's, nothing is slept, and no server is started. For a real one there is Django's ``LiveServerTestCase``.
"""

from __future__ import annotations

import contextvars
import copy
import json
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse
from django.http.request import HttpHeaders
from django.test import Client
from django.utils.encoding import iri_to_uri
from greenlet import GreenletExit, getcurrent

from ..conf import DEFAULT_PROTOCOLS, Conf, import_protocol
from ..exceptions import HandshakeError
from ..protocols.base import CloseCode, Message, Protocol, State
from ..protocols.http import Request
from ..servers import ENVIRON_KEY, Link
from .transport import MemoryTransport, stage

#: Seconds of the view's time after which a test that waits without a timeout has waited in vain.
HORIZON: Final = 3600.0


class WebSocketClient(Client):
    """Django's test client, with WebSockets.

    ::

        with client.websocket("/chat/", subprotocols=["chat.v2"]) as ws:
            ws.send("hello")
            assert ws.wait() == "hello"
    """

    def websocket(
        self,
        path: str,
        *,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        version: int = 13,
        secure: bool = False,
        compression: bool | Mapping[str, object] = False,
        **extra: Any,
    ) -> WebSocketSession:
        """Make a WebSocket to ``path``, to be used in a ``with`` statement, which opens and closes it.

        ``version`` is one of 13, 8, 7, 76 and 75; ``compression`` is what the client offers, a value that
        ``WEBSOCKET_COMPRESSION`` could have; ``extra`` are more entries of the WSGI environ. Cookies, and with
        them a login, are this client's.
        """
        protocols = map(import_protocol, DEFAULT_PROTOCOLS)
        protocol_class = next((protocol for protocol in protocols if version in protocol.versions), None)
        if protocol_class is None:
            raise ValueError(f"there is no WebSocket version {version}")
        environ = {**self.defaults, **extra}
        given = {name.lower(): value for name, value in (headers or {}).items()}
        host = given.pop("host", environ.get("HTTP_HOST") or environ.get("SERVER_NAME") or "testserver")
        if "HTTP_ORIGIN" in environ:
            given.setdefault("origin", environ["HTTP_ORIGIN"])
        request = Request(target=iri_to_uri(path), host=host, secure=secure, headers=given)
        protocol = protocol_class(
            request,
            client=True,
            version=version,
            subprotocols=subprotocols,
            compression=Conf.compression.validate(compression),
        )
        return WebSocketSession(self, protocol, path, secure, extra)


class WebSocketSession:
    """The client's side of one WebSocket in a test.

    The view runs when the test waits, sends or closes, as far as it gets without anything more from the test. What it
    raises is raised here. Times are the view's: when both sides wait, the earliest deadline is there at once.
    """

    def __init__(self, client: Client, protocol: Protocol, path: str, secure: bool, extra: Mapping[str, Any]) -> None:
        self._client = client
        self._protocol = protocol
        self._path = path
        self._secure = secure
        self._extra = extra
        self._messages: deque[Message] = deque()
        self._stage = stage()
        self._transport = MemoryTransport(self._run, self._collect)
        self._error: BaseException | None = None
        #: The response: of a handshake that was rejected, as any other request's; 101 when a WebSocket has ended, and
        #: ``None`` while it is open.
        self.response: HttpResponse | None = None

    # What it is

    @property
    def accepted(self) -> bool:
        """Whether the handshake was accepted."""
        return self._protocol.state is not State.CONNECTING and self._transport.used

    @property
    def subprotocol(self) -> str | None:
        """The negotiated subprotocol, or ``None``."""
        return self._protocol.subprotocol

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields of the handshake that accepted, by lower-case name; cookies are one to a line."""
        return self._protocol.response_headers

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""
        self._collect()
        return self._protocol.state >= State.CLOSING

    @property
    def close_code(self) -> int | None:
        """The view's close code, as :attr:`WebSocket.close_code` on its side."""
        self._collect()
        return self._protocol.close_code

    @property
    def close_reason(self) -> str:
        """The view's close reason."""
        self._collect()
        return self._protocol.close_reason

    # What it does

    def send(self, message: str | bytes) -> None:
        """Send a message, and let the view run; raises what the view has raised."""
        self._settle()
        self._protocol.send(message)
        self._exchange()

    def send_json(self, obj: object) -> None:
        """Send ``obj`` as JSON text."""
        self.send(json.dumps(obj, cls=DjangoJSONEncoder))

    def ping(self, data: bytes = b"") -> None:
        """Send a ping, and let the view run; raises what the view has raised."""
        self._settle()
        self._protocol.ping(data)
        self._exchange()

    def wait(self, timeout: float | None = None) -> Message | None:
        """Wait for a message; ``None`` once the connection is closed.

        :raises TimeoutError: none came within ``timeout`` seconds of the view's time.
        :raises AssertionError: without a timeout: none will come, as both sides wait.
        :raises Exception: whatever the view has raised.
        """
        self._check_accepted()
        deadline = self._stage.now + (HORIZON if timeout is None else timeout)
        while not self._messages:
            if self._stage.progress():
                continue
            if self._protocol.state is State.CLOSED:
                self._raise_error()
                return None
            if self._stage.fire(deadline):
                continue
            if timeout is not None:
                self._stage.now = deadline
                raise TimeoutError("no message came in time")
            if not self._transport.wait_for_threads():
                raise AssertionError("both sides wait: the view for the test, and the test for the view")
        return self._messages.popleft()

    def wait_json(self, timeout: float | None = None) -> Any:
        """Wait for a message and decode it as JSON; ``None`` once the connection is closed."""
        message = self.wait(timeout)
        return None if message is None else json.loads(message)

    def __iter__(self) -> Iterator[Message]:
        """Give messages until the connection is closed."""
        return iter(self.wait, None)

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send Close, and let the view run: normally to its end."""
        self._check_accepted()
        self._protocol.close(code, reason)
        self._exchange()

    def vanish(self) -> None:
        """Drop the connection without a word, as a client that lost its network, and let the view run."""
        self._protocol.connection_lost()
        self._transport.gone = True
        self._transport.feed(b"")
        self._stage.progress()

    # The view's greenlet

    def __enter__(self) -> WebSocketSession:
        """Send the handshake and let the view run: the WebSocket is open then, or :attr:`response` says why not."""
        self._protocol.connect()
        self._transport.received = self._protocol.data_to_send().partition(b"\r\n\r\n")[2]
        self._transport.view.gr_context = contextvars.copy_context()
        self._stage.transports.append(self._transport)
        try:
            self._transport.resume()
            self._collect()
            if not self._transport.used:
                self._raise_error()
            elif isinstance(self._protocol.error, HandshakeError):
                raise AssertionError(f"no client would take this handshake: {self._protocol.error}")
            for cookie in self.headers.get("set-cookie", "").splitlines():
                self._client.cookies.load(cookie)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close, and let the view run to its end.

        :raises AssertionError: it does not end. It is stopped then, as a server would stop it.
        """
        try:
            self._finish()
        except Exception:
            if kind is None:
                raise
        finally:
            stopped = self._stop()
        if kind is None:
            self._raise_error()
            if stopped:
                raise AssertionError("the view still waits for something when its WebSocket is closed")

    def _run(self) -> None:
        """Do the request, in the view's greenlet."""
        link = _MemoryLink(self._transport, self._transport.read_ahead)
        environ = {
            "REQUEST_URI": self._protocol.request.target,
            **HttpHeaders.to_wsgi_names(self._protocol.request.headers),
            **self._extra,
            ENVIRON_KEY: link,
        }
        # What Django's client keeps of a request, an exception and cookies, is to be this request's own.
        client = copy.copy(self._client)
        client.cookies = copy.copy(client.cookies)

        def store_exc_info(request: HttpRequest, **_: Any) -> None:
            if request.META.get(ENVIRON_KEY) is link:
                client.exc_info = sys.exc_info()  # type: ignore[assignment]

        client.store_exc_info = store_exc_info  # type: ignore[assignment, method-assign]
        try:
            response: Any = client.get(self._path, secure=self._secure, **environ)
            self.response = response
            if not self._transport.used:
                self._client.cookies.update(response.cookies)
        except GreenletExit:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the test
            self._error = error
        finally:
            self._transport.shutdown()

    def _settle(self) -> None:
        """Let a connection that the view has ended come to its end."""
        self._check_accepted()
        self._collect()
        if self._protocol.state is not State.OPEN:
            while self._stage.progress():
                pass
            self._raise_error()

    def _exchange(self) -> None:
        """Send what the client's protocol has to say, and let the view run."""
        self._feed()
        self._stage.progress()

    def _feed(self) -> None:
        """Let the view have what the client's protocol has to say."""
        if data := self._protocol.data_to_send():
            self._transport.feed(data)
        if self._protocol.eof_to_send or self._protocol.state is State.CLOSED:
            self._transport.feed(b"")

    def _collect(self) -> None:
        """Take what the view has sent; the protocol's answers go back to it."""
        while self._transport.sent:
            self._messages.extend(self._protocol.receive(self._transport.sent.popleft()))
            self._feed()

    def _finish(self) -> None:
        """Close from the client's side and let the view end, giving its deadlines their time."""
        if self._protocol.state is State.OPEN:
            self._protocol.close()
        self._feed()
        while not self._transport.view.dead:
            if not self._stage.progress() and not self._stage.fire(self._stage.now + HORIZON, self._transport):
                break

    def _stop(self) -> bool:
        """Take the session out; whether its view had to be stopped."""
        if self._transport in self._stage.transports:
            self._stage.transports.remove(self._transport)
        if self._transport.view.dead or not self._transport.view:
            return False
        self._transport.view.parent = getcurrent()
        self._transport.view.throw(GreenletExit)
        self._collect()
        return True

    def _raise_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _check_accepted(self) -> None:
        if not self._transport.used:
            status = None if self.response is None else self.response.status_code
            raise AssertionError(f"the handshake was rejected with status {status}; see .response")


class _MemoryLink(Link):
    """What :func:`servers.find` finds in a test."""

    def refuse(self) -> None:
        """Do nothing: the greenlet ends."""
