"""Check again, hours after the request began, whether its session and user are still valid."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

from django.contrib.auth import SESSION_KEY, get_user
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.http import HttpRequest
from django.utils.functional import LazyObject, empty


class _SessionData(dict[str, Any]):
    """A copy of the data of a session for :func:`get_user`, whose changes to the copy are not saved."""

    def flush(self) -> None:
        self.clear()

    def cycle_key(self) -> None:
        pass


def reason_to_close(request: HttpRequest) -> str | None:
    """Return why a new request with the session of ``request`` would be refused, ``None`` if it would not.

    ``None`` is also returned for a session that the request has not used, that is empty, or that was never saved.
    Nothing is written, and the session does not live longer because of the check.

    :raises Exception: any error of the session store or of the user database.
    """
    session: Any = getattr(request, "session", None)
    if session is None or not session.accessed or session.session_key is None or not session.keys():
        return None
    # type() of a SimpleLazyObject is not the class of the session in it.
    data = _load(session.__class__, session.session_key)
    if data is None:
        return "session ended"
    if SESSION_KEY not in session:
        return None
    if data.get(SESSION_KEY) != session[SESSION_KEY]:
        return "logged out"
    # get_user() makes the same checks as for a new request: the backend may reject the user, and the hash of the
    # password must be the one in the session.
    user = get_user(SimpleNamespace(session=data))  # type: ignore[arg-type]
    return None if user.is_authenticated else "login no longer valid"


def hash_session_key(key: str) -> str:
    """Return what stands for a session key where others may read it: whoever has a session key is logged in by it."""
    return hashlib.sha256(key.encode()).hexdigest()


def is_made_by(request: HttpRequest, owner: str, key: str) -> bool:
    """Return whether a request was made by the owner of a kind, ``"user"`` or ``"session"``, with this key.

    The key of a user is its primary key, as text; that of a session comes from :func:`hash_session_key`. ``False`` is
    also returned if the request has not used its session, or its user: nothing is loaded. Thread-safe.
    """
    data = _loaded_session(request)
    if owner == "session":
        session_key = request.session.session_key if data else None
        return session_key is not None and hash_session_key(session_key) == key
    user_key = data.get(SESSION_KEY)
    if user_key is not None and str(user_key) == key:
        return True
    # Other ways to log in than by a session set the user of the request too.
    return _loaded_user_id(request) == key


def user_id(request: HttpRequest) -> str | None:
    """Return the primary key of the user who has made a request, as text.

    ``None`` is returned if nobody is logged in, and if the request has not used its user: nothing is loaded.
    Thread-safe.
    """
    loaded = _loaded_user_id(request)
    if loaded is not None:
        return loaded
    key = _loaded_session(request).get(SESSION_KEY)
    return None if key is None else str(key)


def _loaded_session(request: HttpRequest) -> dict[str, Any]:
    """Return the data of the session of a request; an empty dictionary if it has none, or has not loaded it.

    Any access of the session itself could load it, in a thread that has no business with it.
    """
    session: Any = getattr(request, "session", None)
    if isinstance(session, LazyObject):
        session = session._wrapped  # noqa: SLF001 - as in _loaded_user_id()
    return getattr(session, "__dict__", {}).get("_session_cache") or {}


def _loaded_user_id(request: HttpRequest) -> str | None:
    """Return the primary key of the user of a request, as text; ``None`` if it has none, or has not loaded it."""
    user: Any = vars(request).get("user")
    if isinstance(user, LazyObject) and user._wrapped is empty:  # noqa: SLF001 - see below
        # There is no public way to ask whether the user was loaded.
        return None
    try:
        key = getattr(user, "pk", None)
        return None if key is None else str(key)
    except Exception:  # noqa: BLE001 - Django REST framework and others let a project put any object there.
        return None


def _load(store_class: Any, key: str) -> _SessionData | None:
    """Return the data of a session as they are stored now, ``None`` if it was deleted or has expired."""
    store = store_class(key)
    data = _SessionData(store.load())
    # A stateless backend that rejects a foreign or expired cookie sets ``modified``; the other backends change
    # ``session_key`` if they find no session.
    if not store.modified and store.session_key == key and store.get_expiry_age(expiry=data.get("_session_expiry")) > 0:
        return data
    if store.session_key not in {None, key}:
        # The file backend replaces an expired session by a new one when it is loaded. No client would ever get the key
        # of that session, so it is deleted.
        store.delete()
    if not isinstance(store, DatabaseStore):
        # load() of the cache backend finds no session when the cache does not answer. exists() raises an error then.
        store.exists(key)
    return None
