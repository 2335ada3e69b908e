"""The groups that a project sends messages to."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction

from ..exceptions import GroupError
from ..process.identity import is_id
from ..protocols.close_codes import CloseCode, check_close
from ..websocket import WebSocket, check_timeout
from .backends import get_backend
from .backends.base import Backend
from .listening import Listener, Listening, membership_of
from .member import Member, log_warnings
from .membership import Membership
from .payload import Envelope, Payload, unwrap
from .position import Position, Replay

logger = logging.getLogger("django_websocket.groups")

T = TypeVar("T")

_NAME: Final = re.compile(r"[A-Za-z0-9._:-]{1,100}", re.ASCII)
#: Characters of the name of a member.
MAX_MEMBER_NAME: Final = 200
#: Stands for a ``since`` that is no position: no group has it.
_NOWHERE: Final = Position.make("", 0)


class Group:
    """A group of WebSockets, which get each message that is sent to the group, whichever process serves them.

    A group exists while it has members; it is made by its name alone, wherever it is needed, and two objects with the
    same name are the same group. All methods may be called from any synchronous code and any thread: views, commands,
    signal handlers, tasks.

    With ``history`` the backend keeps the last messages, so that a client that comes back can get those it has missed.
    Its members get each message in an envelope, a JSON text with the keys ``group``, ``id`` and ``data``; ``id`` is the
    position that the client hands back as ``since``. Where messages are missing, they get a text with the keys
    ``group`` and ``gap``. :meth:`unwrap` reads both.
    """

    __slots__ = ("_history", "_name", "_using")

    def __init__(self, name: str, history: int = 0, using: str = "default") -> None:
        """Make the group ``name``: up to 100 letters, digits and ``._:-``.

        ``history`` is the number of messages that are kept; everywhere in a project it should be the same for one
        group. ``using`` is an alias of ``WEBSOCKET_GROUPS``.

        :raises ValueError: a name with other characters, or a negative ``history``.
        :raises TypeError: an argument of the wrong type.
        """
        if not isinstance(name, str) or not isinstance(using, str):
            raise TypeError("the name of a group, and that of its backend, are str")
        if not _NAME.fullmatch(name):
            raise ValueError(f"the name of a group has 1 to 100 letters, digits and ._:- and not {name!r}")
        if isinstance(history, bool) or not isinstance(history, int):
            raise TypeError(f"history is a number of messages, not {history!r}")
        if history < 0:
            raise ValueError(f"history is a number of messages, not {history!r}")
        self._name = name
        self._history = history
        self._using = using

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    def __repr__(self) -> str:
        history = f", history={self._history}" if self._history else ""
        using = f", using={self._using!r}" if self._using != "default" else ""
        return f"Group({self._name!r}{history}{using})"

    def __eq__(self, other: object) -> bool:
        """Return whether two objects are the same group."""
        if not isinstance(other, Group):
            return NotImplemented
        return (self._name, self._using) == (other._name, other._using)

    def __hash__(self) -> int:
        return hash((self._name, self._using))

    @property
    def _backend(self) -> Backend:
        return get_backend(self._using)

    # Members

    def add(self, websocket: WebSocket, name: str | None = None, since: str | None = None) -> Replay:
        """Add a WebSocket: from now on its client gets the messages of the group. The handshake is sent, unless it was.

        ``name`` is the name for :meth:`members`; several WebSockets may have the same. ``since`` is a position that the
        client has got earlier, or one of :meth:`position`: the client first gets the messages after it, as far as they
        are kept. What the client has sent may be passed on as it is: ``None`` and ``""`` ask for no earlier messages,
        and a text that is no position counts as one of long ago.

        The membership ends with the connection. Another call for the same WebSocket replaces the name.

        :raises TypeError: an argument of the wrong type, such as the ``None`` of a request that is no WebSocket.
        :raises ValueError: ``name`` is empty, over 200 characters, or has a surrogate, which is not text.
        :raises GroupUnavailable: the messages of other processes cannot reach this one.
        :raises ConnectionClosed: the WebSocket has ended before its handshake.
        """
        _check_websocket(websocket)
        make: Callable[..., Member] = partial(Member, enveloped=self._history > 0)
        current = membership_of(websocket, self)
        if current is not None and isinstance(current.member, Listener):
            # The view goes on listening.
            make = partial(Listener, inlet=current.member.inlet)
        return self.enter(make, websocket, name, since)

    def enter(self, make: Callable[..., Member], websocket: WebSocket, name: str | None, since: str | None) -> Replay:
        """Add the member that ``make`` returns; the rest as for :meth:`add`.

        ``make`` is :class:`.Member` or another class of members, with its own arguments already.
        """
        if since is not None and not isinstance(since, str):
            raise TypeError(f"since is a str, not {type(since).__name__}")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a member is a str, not {type(name).__name__}")
        if name is not None:
            if not 1 <= len(name) <= MAX_MEMBER_NAME:
                raise ValueError(f"the name of a member has 1 to {MAX_MEMBER_NAME} characters")
            _check_text(name)
        membership = Membership(self._backend, make(self._name, websocket, name=name))
        replay = membership.begin((Position.parse(since) or _NOWHERE) if since else None)
        log_warnings()
        # A member that was there before was replaced by the backend.
        websocket.at_end(self, membership)
        return replay

    def discard(self, websocket: WebSocket) -> None:
        """Remove a WebSocket; do nothing if it is no member."""
        _check_websocket(websocket)
        leave = websocket.take_at_end(self)
        if leave is not None:
            leave()

    @contextmanager
    def joined(self, websocket: WebSocket, name: str | None = None, since: str | None = None) -> Iterator[Replay]:
        """Return a context in which the WebSocket is a member; the arguments and errors are those of :meth:`add`."""
        replay = self.add(websocket, name, since)
        try:
            yield replay
        finally:
            self.discard(websocket)

    def listen(
        self,
        websocket: WebSocket,
        timeout: float | None = None,
        *,
        name: str | None = None,
        since: str | None = None,
    ) -> Listening:
        """Return an iterator over the messages of the client and those of the group, for the view to handle.

        ::

            for event in room.listen(request.websocket):
                if event.kind == "client":
                    room.send(event.data)
                elif event.data not in muted:
                    request.websocket.send(event.data)

        Until the loop is left the WebSocket is a member whose messages come as events (see :class:`.Event`) instead of
        going to the client. If it was a member before, it is one again afterwards, and its client gets what the view
        has not taken. ``event.kind`` is ``"client"``, ``"group"``, ``"gap"``, or ``"timeout"`` after ``timeout``
        seconds without an event; ``None`` is no limit. Messages of other groups still go to the client, unless the view
        listens to them as well::

            events = room.listen(request.websocket)
            events.add(Group("news"))
            for event in events:
                ...

        The membership begins with the call; ``name`` and ``since`` are those of :meth:`add`. Pings, Close and whatever
        else ``wait()`` takes care of go on in the loop.

        :raises TypeError: an argument of the wrong type.
        :raises ValueError: ``timeout`` is NaN, or ``name`` one that :meth:`add` refuses.
        :raises OSError: the process has too many open descriptors: each view that listens needs one more, or on
            greenlets each hub.
        :raises GroupUnavailable: the messages of other processes cannot reach this one.
        :raises ConnectionClosed: the WebSocket has ended before its handshake.
        """
        _check_websocket(websocket)
        if timeout is not None:
            check_timeout(timeout, "listen()")
        listening = Listening(websocket, timeout)
        try:
            listening.add(self, name, since)
        except BaseException:
            listening.close()
            raise
        return listening

    def count(self) -> int:
        """Return the number of members, in all processes.

        The members of a process that has died are counted for up to 30 seconds longer.

        :raises GroupUnavailable: Redis is not available.
        """
        return self._backend.count(self._name)

    def members(self) -> set[str]:
        """Return the names of the members, in all processes, each once; those without a name are left out.

        The names of a process that has died are among them for up to 30 seconds longer.

        :raises GroupUnavailable: Redis is not available.
        """
        return self._backend.names(self._name)

    # Messages

    def send(self, message: str | bytes, *, exclude: WebSocket | str | None = None) -> Position | None:
        """Send a message to all members: ``str`` as text, ``bytes`` as binary. Return its position.

        The call does not wait for the members. A member that cannot keep up is disconnected with close code 1013.
        ``exclude`` is a WebSocket that does not get the message, or its ``member_id``. The result is ``None`` only if
        the message could not be sent and ``ON_ERROR`` of the backend is ``"log"``.

        :raises TypeError: ``message`` is something else; or bytes, in a group with history.
        :raises ValueError: ``message`` has a surrogate, which is not text.
        :raises GroupUnavailable: the message could not be sent, or that is not known: see
            :attr:`GroupUnavailable.maybe_sent`.
        """
        return self._publish(self._payload(message, exclude))

    def send_json(self, obj: object, *, exclude: WebSocket | str | None = None) -> Position | None:
        """Send ``obj`` as JSON text, with Django's encoder (dates, decimals, UUIDs); the rest as :meth:`send`.

        :raises TypeError: ``obj`` is not JSON serializable.
        """
        return self._publish(self._json_payload(obj, exclude))

    def send_on_commit(
        self, message: object, *, using: str | None = None, exclude: WebSocket | str | None = None
    ) -> None:
        """Send a message when the transaction is committed, never if it is rolled back, and now if there is none.

        ``str`` and ``bytes`` are sent as by :meth:`send`, everything else as by :meth:`send_json`. The message is
        serialized now, so that its errors are raised here. ``using`` is the alias of the database. An error of the
        backend is logged in one line, because the data are committed by then.

        :raises TypeError: the message cannot be sent.
        """
        is_plain = isinstance(message, (str, bytes))
        payload = self._payload(message, exclude) if is_plain else self._json_payload(message, exclude)

        # Django 5.2 logs the qualified name of what has failed, which a partial object does not have.
        def send() -> None:
            self._publish(payload, log=True)

        transaction.on_commit(send, using=using, robust=True)

    def _payload(self, message: object, exclude: WebSocket | str | None) -> Payload:
        """Return the payload for a message; the errors are those of :meth:`send`."""
        if isinstance(message, str):
            _check_text(message)
            return Payload("text", message, _member_id(exclude))
        if not isinstance(message, bytes):
            raise TypeError(f"send() takes str or bytes, not {type(message).__name__}; there is send_json()")
        if self._history:
            raise TypeError("the messages of a group with history are text, not bytes")
        return Payload("bytes", message, _member_id(exclude))

    @staticmethod
    def _json_payload(obj: object, exclude: WebSocket | str | None) -> Payload:
        return Payload("json", json.dumps(obj, cls=DjangoJSONEncoder), _member_id(exclude))

    def _publish(self, payload: Payload, *, log: bool = False) -> Position | None:
        return self._attempt(lambda backend: backend.publish(self._name, payload, history=self._history), log=log)

    def _attempt(self, call: Callable[[Backend], T], *, log: bool = False) -> T | None:
        """Return the result of a call of the backend; ``None`` if it failed and errors are logged.

        They are if the option ``ON_ERROR`` says so, or if nobody could catch them, with ``log``.
        """
        backend = self._backend
        try:
            result = call(backend)
        except GroupError as error:
            if not log and backend.options["ON_ERROR"] != "log":
                raise
            logger.error("Group %s: %s", ascii(self._name), error)  # noqa: TRY400 - the traceback says nothing more
            return None
        log_warnings()
        return result

    def position(self) -> Position:
        """Return the position of the last message, for a page that shows the state so far.

        The script of the page sends it when it opens the WebSocket, whose view passes it to :meth:`add` as ``since``.
        So no message is missed between the two.

        :raises GroupUnavailable: Redis is not available.
        """
        return self._backend.position(self._name)

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the WebSockets of all members, in all processes, after the messages that were sent before.

        :raises ValueError: ``code`` may not be sent (RFC 6455 section 7.4), or ``reason`` is over 123 bytes of UTF-8.
        :raises TypeError: ``code`` is no ``int``, or ``reason`` no ``str``.
        :raises GroupUnavailable: see :meth:`send`.
        """
        check_close(code, reason)
        self._attempt(lambda backend: backend.close(self._name, code, reason))

    @staticmethod
    def unwrap(text: str | bytes) -> Envelope:
        """Return what an envelope holds: for clients in Python, and for tests.

        :raises ValueError: ``text`` is no envelope.
        """
        return unwrap(text)


def _check_websocket(websocket: object) -> None:
    if not isinstance(websocket, WebSocket):
        raise TypeError(f"a member of a group is a WebSocket, not {type(websocket).__name__}")


def _check_text(text: str) -> None:
    """Check that a text can be sent.

    :raises ValueError: it has a surrogate, as ``json.loads()`` makes of what a client has sent.
    """
    if not text.isascii():
        text.encode()


def _member_id(exclude: WebSocket | str | None) -> str | None:
    """Return the ``member_id`` that ``exclude`` stands for; ``None`` for a text that is none.

    :raises TypeError: it is neither a WebSocket nor text.
    """
    if exclude is None or isinstance(exclude, str):
        # A page may have sent it with a form. Other text could be mistaken for a part of the message on its way.
        return exclude if exclude and is_id(exclude) else None
    if not isinstance(exclude, WebSocket):
        raise TypeError(f"exclude is a WebSocket or its member_id, not {type(exclude).__name__}")
    return exclude.member_id
