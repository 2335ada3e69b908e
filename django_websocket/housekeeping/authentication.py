"""Whether those who have come in may still be there, hours later."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.contrib.auth import SESSION_KEY, get_user
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.http import HttpRequest


class _Data(dict[str, Any]):
    """A session's data, for :func:`get_user` to judge: what that would change stays here."""

    def flush(self) -> None:
        self.clear()

    def cycle_key(self) -> None:
        pass


def find_objection(request: HttpRequest) -> str | None:
    """Tell why the client of ``request`` would not come in again with its session, ``None`` if it would.

    A session that the request has not used is no reason, nor is one that is empty or was never saved. Nothing is
    written, and the session lives no longer for being looked at.

    :raises Exception: whatever the session's store, or the users' database, has to complain of.
    """
    session: Any = getattr(request, "session", None)
    if session is None or not session.accessed or session.session_key is None or not session.keys():
        return None
    data = _load(type(session), session.session_key)
    if data is None:
        return "session ended"
    if SESSION_KEY not in session:
        return None
    if data.get(SESSION_KEY) != session[SESSION_KEY]:
        return "logged out"
    # As for a new request: the backend may refuse the user, who may have another password by now.
    user = get_user(SimpleNamespace(session=data))  # type: ignore[arg-type]
    return None if user.is_authenticated else "login no longer valid"


def _load(store_class: Any, key: str) -> _Data | None:
    """Give the stored data of a session as it is now, ``None`` if it is gone or has expired."""
    store = store_class(key)
    data = _Data(store.load())
    # Those that store nothing say by the first that a cookie is not theirs or too old, the others by the second.
    if not store.modified and store.session_key == key and store.get_expiry_age(expiry=data.get("_session_expiry")) > 0:
        return data
    if store.session_key not in {None, key}:
        # Loaded from a file, an expired session is replaced by a new one that nobody would know of.
        store.delete()
    if not isinstance(store, DatabaseStore):
        # A cache that is out of order looks like one without the session, until it is asked this.
        store.exists(key)
    return None
