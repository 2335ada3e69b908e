"""Closing the WebSockets of a user or a session, in every process."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.core.signals import request_finished
from django.db import connections, router, transaction

from ..conf import MEMORY_BACKEND, conf
from ..exceptions import GroupError
from ..housekeeping.authentication import hash_session_key
from ..process.registry import Closing, registry
from ..protocols.close_codes import CloseCode
from .backends import get_backend
from .backends.base import Owner

logger = logging.getLogger("django_websocket.groups")

#: The close code of a connection whose user has logged out, as after a failed revalidation.
UNAUTHORIZED: Final = 4401

#: The close code of a WebSocket that was closed by itself, and its reason.
_CLOSED_BY_ID: Final = (CloseCode.POLICY_VIOLATION, "closed by an administrator")

#: How many sessions are remembered until the end of a request: a command, which has no request, may end any number.
_MAX_ENDED: Final = 100
#: The sessions that have ended in the request of this thread.
_ended: Final = threading.local()


def disconnect_user(user: Any) -> None:
    """Close all WebSockets of a user with 4401, in every process that shares a backend with this one.

    These are the WebSockets whose request has used ``request.user`` or its session. ``user`` is a user, or a primary
    key.

    :raises ValueError: ``user`` has no primary key, as one that was deleted, or is not logged in.
    :raises GroupUnavailable: those of other processes could not be closed, or that is not known. Those of this process
        are closed all the same.
    """
    key = getattr(user, "pk", user)
    if key is None or key == "":
        raise ValueError(f"the user has no primary key: {user!r}")
    _disconnect("user", str(key))


def disconnect_session(key: str) -> None:
    """Close all WebSockets of a session with 4401, in every process that shares a backend with this one.

    ``key`` is ``request.session.session_key``; the rest as for :func:`disconnect_user`.

    :raises TypeError: ``key`` is no ``str``.
    """
    if not isinstance(key, str):
        raise TypeError(f"the key of a session is a str, not {type(key).__name__}")
    _disconnect("session", hash_session_key(key))


def disconnect_connection(connection_id: str) -> None:
    """Close one WebSocket with 1008, whichever process that shares a backend with this one has it.

    ``connection_id`` is the ``id`` that :func:`.connections` has returned, or a :attr:`.WebSocket.member_id`. If there
    is no such WebSocket, nothing happens. The rest as for :func:`disconnect_user`.

    :raises TypeError: ``connection_id`` is no ``str``.
    """
    if not isinstance(connection_id, str):
        raise TypeError(f"the id of a connection is a str, not {type(connection_id).__name__}")
    _disconnect("connection", connection_id)


def disconnect_here(owner: Owner, key: str, *, spare: object = None) -> None:
    """Close the WebSockets of an owner in this process, without waiting for anything. Thread-safe.

    ``key`` is as for :meth:`.Hooks.belongs_to`. The connection ``spare`` stays open.
    """
    if owner == "connection":
        closing = Closing(owner, key, *_CLOSED_BY_ID)
    else:
        closing = Closing(owner, key, UNAUTHORIZED, "logged out", "logged_out")
    registry.close_owned(closing, spare=spare)


def watch_log_outs() -> None:
    """Begin to receive the log-outs of other processes: this one serves a WebSocket. Never waits, and raises no error.

    Backends within one process are not even loaded.
    """
    for alias, config in conf.groups.items():
        if config.backend != MEMORY_BACKEND:
            try:
                get_backend(alias).watch()
            except GroupError:
                # Code that uses a group gets the same error.
                logger.exception("Log-outs in other processes do not reach this one")


def _disconnect(owner: Owner, key: str, spare: object = None) -> None:
    disconnect_here(owner, key, spare=spare)
    failure: GroupError | None = None
    for alias in conf.groups:
        try:
            get_backend(alias).disconnect(owner, key)
        except GroupError as error:
            failure = error
    if failure is not None:
        raise failure


def on_logged_out(request: Any, **_: Any) -> None:
    """Close the WebSockets of the session that is logged out; a receiver of ``user_logged_out``.

    Django sends the signal before it deletes the session. A client that is told too early comes back with it, or loads
    a page for one who is logged in. So the WebSockets are closed when the session was deleted and, if that happens in a
    transaction, committed. They are closed once more when the request has finished, for sessions that end with the
    response, as those in cookies do. The WebSocket of a view that logs out its own request stays open.
    """
    session: Any = getattr(request, "session", None)
    session_key = getattr(session, "session_key", None)
    if session_key is None:
        return
    key = hash_session_key(session_key)
    websocket = getattr(request, "websocket", None)
    own = websocket.open() if websocket is not None and websocket.handshake_sent else None
    _after_deletion(session, partial(_try_disconnect, key, own))
    if own is not None:
        return
    if not hasattr(_ended, "keys"):
        _ended.keys = deque(maxlen=_MAX_ENDED)
        request_finished.connect(_on_request_finished, dispatch_uid="django_websocket.logout")
    _ended.keys.append(key)


def _after_deletion(session: Any, close: Callable[[], None]) -> None:
    """Call ``close`` when ``flush()`` or ``aflush()``, one of which Django calls next, has deleted the session."""
    # A session may be inside a SimpleLazyObject, whose type() is another class.
    flush, aflush = session.__class__.flush, session.__class__.aflush
    # The session holds the functions; a reference back to the session would be a cycle.
    session_ref = weakref.ref(session)

    def flush_and_close() -> None:
        flush(session_ref())
        _when_committed(session_ref(), close)

    async def aflush_and_close() -> None:
        await aflush(session_ref())
        await sync_to_async(_when_committed)(session_ref(), close)

    session.flush, session.aflush = flush_and_close, aflush_and_close


def _when_committed(session: Any, close: Callable[[], None]) -> None:
    """Call ``close`` when others see that a session was deleted: at the end of the transaction of a database."""
    model = getattr(session, "model", None)
    database = model and connections[router.db_for_write(model)]
    # A transaction of Django's TestCase, which has a private mark, is never committed.
    if database and not all(vars(block).get("_from_testcase") for block in database.atomic_blocks):
        transaction.on_commit(close, using=database.alias, robust=True)
    else:
        close()


def _on_request_finished(**_: Any) -> None:
    for key in vars(_ended).pop("keys", ()):
        _try_disconnect(key)


def _try_disconnect(key: str, spare: object = None) -> None:
    try:
        _disconnect("session", key, spare)
    except GroupError as error:
        # The session has ended all the same, which revalidation will notice.
        logger.error("The WebSockets of a session that was logged out may stay open in other processes: %s", error)  # noqa: TRY400 - the traceback says nothing more
