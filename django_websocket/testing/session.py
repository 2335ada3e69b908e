"""The client's side of a WebSocket in a test."""

from __future__ import annotations

import contextvars
import copy
import json
import math
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse
from django.http.request import HttpHeaders
from django.test import Client
from greenlet import GreenletExit, getcurrent

from ..exceptions import HandshakeError
from ..groups.group import Group
from ..groups.position import Position
from ..protocols.base import Message, Protocol, State
from ..protocols.close_codes import CloseCode
from ..servers import ENVIRON_KEY
from .expectations import Expectation, show_following
from .scheduler import MAX_DEADLINES, scheduler
from .transport import MemoryConnection, MemoryTransport


class BothWait(AssertionError):
    """The test waits for a message, and none will come."""


class WebSocketSession:
    """The client's side of one WebSocket in a test.

    The view runs when the test waits, sends or closes, until the view needs something more from the test. Exceptions of
    the view are raised here. Times are those of the view's clock: when both sides wait, the earliest deadline is
    reached at once.
    """

    def __init__(
        self,
        client: Client,
        protocol: Protocol,
        path: str,
        *,
        secure: bool,
        headers: Mapping[str, str],
        extra: Mapping[str, Any],
    ) -> None:
        self._client = client
        self._protocol = protocol
        self._path = path
        self._secure = secure
        self._headers = headers
        self._extra = extra
        self._messages: deque[Message] = deque()
        self._scheduler = scheduler()
        self._transport = MemoryTransport(self._run, self._collect)
        self._error: BaseException | None = None
        #: The response to the request: an ordinary one if the handshake was refused, one with status 101 once the
        #: WebSocket has ended, and ``None`` while it is open.
        # Any stands for None, so that a test that looks at a refusal need not rule it out first.
        self.response: HttpResponse | Any = None

    def __repr__(self) -> str:
        """Return the path and how far the WebSocket has come, which pytest shows where ``assert ws.accepted`` fails."""
        return f"<{type(self).__name__} {self._path}: {self._progress}>"

    # The state

    @property
    def accepted(self) -> bool:
        """Whether the handshake was accepted."""
        return self._protocol.state is not State.CONNECTING and self._transport.taken_over

    @property
    def subprotocol(self) -> str | None:
        """The negotiated subprotocol, or ``None``."""
        return self._protocol.subprotocol

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields of the server's answer, by lower-case name; ``set-cookie`` has one cookie on each line."""
        return self._protocol.response_headers

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""
        self._collect()
        return self._protocol.state >= State.CLOSING

    @property
    def close_code(self) -> int | None:
        """The close code as the client sees it: the view's, 1005 if its Close had none, 1006 without a Close."""
        self._collect()
        return self._protocol.close_code

    @property
    def close_reason(self) -> str:
        """The view's close reason."""
        self._collect()
        return self._protocol.close_reason

    # Messages

    def send(self, message: str | bytes) -> None:
        """Send a message, and run the view; exceptions of the view are raised."""
        self._settle()
        self._protocol.send(message)
        self._exchange()

    def send_json(self, obj: object) -> None:
        """Send ``obj`` as JSON text."""
        self.send(json.dumps(obj, cls=DjangoJSONEncoder))

    def ping(self, data: bytes = b"") -> None:
        """Send a ping, and run the view; exceptions of the view are raised."""
        self._settle()
        self._protocol.ping(data)
        self._exchange()

    def wait(self, timeout: float | None = None) -> Message | None:
        """Return the next message; ``None`` once the connection is closed.

        :raises TimeoutError: no message came within ``timeout`` seconds on the view's clock.
        :raises AssertionError: there is no timeout, and no message will come, as both sides wait.
        :raises Exception: any exception of the view.
        """
        self._check_accepted()
        deadline = math.inf if timeout is None else self._scheduler.now + timeout
        deadlines = turn = 0
        while not self._messages:
            if self._scheduler.run_ready(turn):
                turn += 1
                continue
            turn = 0
            if self._protocol.state is State.CLOSED:
                self._raise_error()
                return None
            # A thread that is about to act comes before a deadline, however early that is.
            if self._scheduler.wait_for_threads():
                continue
            if (timeout is not None or deadlines < MAX_DEADLINES) and self._scheduler.advance(deadline):
                deadlines += 1
            elif timeout is not None:
                self._scheduler.now = deadline
                raise TimeoutError("no message came in time")
            else:
                raise BothWait("both sides wait: the view for the test, and the test for the view")
        return self._messages.popleft()

    def wait_json(self, timeout: float | None = None) -> Any:
        """Return the next message decoded from JSON; ``None`` once the connection is closed.

        :raises ValueError: the message is not JSON.
        :raises Exception: the errors of :meth:`wait`.
        """
        message = self.wait(timeout)
        return None if message is None else json.loads(message)

    def assert_message(
        self, expected: object, timeout: float | None = None, *, group: Group | str | None = None
    ) -> Position | None:
        """Wait for the next message as :meth:`wait` does, and check that it is ``expected``.

        ``str`` and ``bytes`` are compared with the message itself; any other object with what its JSON stands for,
        where dates and the like are equal to what ``send_json()`` makes of them, and ``unittest.mock.ANY`` to anything.

        Groups with history send envelopes. With ``group``, a :class:`.Group` or its name, the message has to be an
        envelope of that group, and ``expected`` is what was sent to it: a ``str``, or the object of ``send_json()``.
        Then the position is returned, with which a client asks for what it has missed; otherwise ``None``.

        :raises AssertionError: another message came, or none, or the connection was closed.
        :raises Exception: any exception of the view.
        """
        expectation = Expectation(expected, group.name if isinstance(group, Group) else group)
        try:
            message = self.wait(timeout)
        except TimeoutError:
            raise AssertionError(expectation.failure(f"nothing within {timeout:g} seconds")) from None
        except BothWait as error:
            raise AssertionError(expectation.failure(f"nothing: {error}")) from None
        if message is None:
            raise AssertionError(expectation.failure(f"nothing: the WebSocket was {self._progress}"))
        try:
            envelope = expectation.envelope_of(message)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *show_following(self._messages)])) from None
        return None if envelope is None else envelope.id

    def expect_nothing(self, timeout: float = 0) -> None:
        """Check that no message has come, and that none comes within ``timeout`` seconds on the view's clock.

        Views and threads that can go on run first.

        :raises AssertionError: a message came, or the connection was closed.
        :raises Exception: any exception of the view.
        """
        try:
            message = self.wait(timeout)
        except TimeoutError:
            return
        if message is None:
            raise AssertionError(f"expected: nothing\n     got: the WebSocket was {self._progress}")
        raise AssertionError("\n".join([f"expected: nothing\n     got: {message!r}", *show_following(self._messages)]))

    def __iter__(self) -> Iterator[Message]:
        """Return an iterator over the messages until the connection is closed."""
        return iter(self.wait, None)

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send Close, and run the view, normally to its end."""
        self._check_accepted()
        self._protocol.close(code, reason)
        self._exchange()

    def vanish(self) -> None:
        """Drop the connection without a Close, as a client that lost its network, and run the view."""
        self._protocol.connection_lost()
        self._transport.gone = True
        self._transport.feed(b"")
        self._scheduler.run_ready()

    # The view's greenlet

    def __enter__(self) -> WebSocketSession:
        """Send the handshake and run the view: afterwards the WebSocket is open, or :attr:`response` is the refusal."""
        self._protocol.connect()
        self._transport.received = self._protocol.data_to_send().partition(b"\r\n\r\n")[2]
        view = self._transport.view
        view.greenlet.gr_context = contextvars.copy_context()
        self._scheduler.add(view)
        try:
            view.resume()
            # A view may sleep before its handshake.
            while not self._transport.taken_over and self._scheduler.advance(only=view):
                pass
            self._collect()
            if not self._transport.taken_over:
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
        """Close, and run the view to its end.

        :raises AssertionError: the view does not end by itself. It is stopped then, as a server would stop it.
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
        """Make the request, in the view's greenlet."""
        connection = MemoryConnection(self._transport)
        environ = {
            "REQUEST_URI": self._protocol.request.target,
            **HttpHeaders.to_wsgi_names(self._protocol.request.headers),
            **self._extra,
            ENVIRON_KEY: connection,
        }
        # Django's client keeps the exception and the cookies of a request. A copy keeps them for this request only.
        client = copy.copy(self._client)
        client.cookies = copy.copy(client.cookies)
        # The handshake has the Origin of the client, unless the test has said otherwise.
        client.defaults = {name: value for name, value in client.defaults.items() if name != "HTTP_ORIGIN"}

        def store_exc_info(request: HttpRequest, **_: Any) -> None:
            if request.META.get(ENVIRON_KEY) is connection:
                client.exc_info = sys.exc_info()  # type: ignore[assignment]

        client.store_exc_info = store_exc_info  # type: ignore[assignment, method-assign]
        try:
            response: Any = client.get(self._path, secure=self._secure, **environ)
            # assertRedirects() repeats these in the request to the target, which is a plain one.
            client.extra, client.headers = dict(self._extra), self._headers
            self.response = response
            if not self._transport.taken_over:
                self._client.cookies.update(response.cookies)
        except GreenletExit:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the test
            self._error = error
        finally:
            self._transport.shutdown()

    def _settle(self) -> None:
        """Run the view to its end if it has ended the connection."""
        self._check_accepted()
        self._collect()
        if self._protocol.state is not State.OPEN:
            turn = 0
            while self._scheduler.run_ready(turn):
                turn += 1
            self._raise_error()

    def _exchange(self) -> None:
        """Send the bytes that the client's protocol has ready, and run the view."""
        self._feed()
        self._scheduler.run_ready()

    def _feed(self) -> None:
        """Pass the bytes that the client's protocol has ready to the view."""
        if data := self._protocol.data_to_send():
            self._transport.feed(data)
        if self._protocol.eof_to_send or self._protocol.state is State.CLOSED:
            self._transport.feed(b"")

    def _collect(self) -> None:
        """Take the bytes that the view has sent, and pass the protocol's answers back to the view."""
        while self._transport.sent:
            self._messages.extend(self._protocol.receive(self._transport.sent.popleft()))
            self._feed()

    def _finish(self) -> None:
        """Close from the client's side and run the view to its end, reaching all its deadlines on the way."""
        if self._protocol.state is State.OPEN:
            self._protocol.close()
        self._feed()
        deadlines = turn = 0
        while not self._transport.view.greenlet.dead:
            if self._scheduler.run_ready(turn):
                turn += 1
                continue
            turn = 0
            if deadlines == MAX_DEADLINES or not self._scheduler.advance(only=self._transport.view):
                break
            deadlines += 1

    def _stop(self) -> bool:
        """Return whether the view had to be stopped, and remove the session from the scheduler."""
        view = self._transport.view
        stopped = bool(view.greenlet)
        if stopped:
            view.greenlet.parent = getcurrent()
            view.greenlet.throw(GreenletExit)
            self._collect()
        self._scheduler.discard(view)
        return stopped

    def _raise_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _check_accepted(self) -> None:
        if not self._transport.taken_over:
            raise AssertionError(f"the handshake was {self._progress}")

    @property
    def _progress(self) -> str:
        """How far the WebSocket has come, behind "was"; the view does not run for it."""
        if not self._transport.taken_over:
            if self.response is None:
                return "not sent: the session belongs into a with statement"
            return f"refused with status {self.response.status_code}; see .response"
        if self._protocol.state is not State.CLOSED:
            return "accepted"
        reason = f" ({self._protocol.close_reason})" if self._protocol.close_reason else ""
        return f"accepted, then closed with {self._protocol.close_code}{reason}"
