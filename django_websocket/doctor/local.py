"""The examination of the project itself: the system checks of this package, and what they leave out."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core.checks import ERROR, WARNING, CheckMessage

from .. import checks
from ..checks.settings import MIDDLEWARE
from .reports import Report, Status
from .urlconf import find_views
from .verdicts import VERDICTS

_APP: Final = "django_websocket"
_SESSIONS: Final = "django.contrib.sessions.middleware.SessionMiddleware"
#: The distributions of the servers that give access to their sockets, and of those for ASGI.
_SERVERS: Final = ("gunicorn", "eventlet", "gevent", "cheroot", "waitress", "Werkzeug")
_ASGI_SERVERS: Final = ("uvicorn", "daphne", "hypercorn")
#: The classes of gunicorn's workers that serve one request at a time.
_SINGLE: Final = frozenset({"sync", "tornado"})
#: What does not work without the middleware. gunicorn's workers are watched from their first WebSocket on, and where
#: requests run in the main thread, the first of them sets the handlers of signals.
_NO_MIDDLEWARE: Final = (
    "WebSocketMiddleware is not in MIDDLEWARE: the decorators work without it; WEBSOCKET_ACCEPT_ALL, the refusal of "
    "handshakes for other views, request.websocket in other middleware and, on waitress and cheroot, the Close with "
    "1012 at a shutdown do not"
)
#: Routes that a line names; the JSON has all of them.
_MAX_ROUTES: Final = 8

Checks = Iterable[Callable[[], list[CheckMessage]]]


def examine_project() -> Report:
    """Return the report on the project. No error of the project is raised: it is a check that fails."""
    report = Report()
    examination = _Local(report)
    for check_id, examine in (
        ("server", examination.server),
        ("settings", examination.settings),
        ("installed-apps", examination.installed_apps),
        ("middleware", examination.middleware),
        ("asgi", examination.asgi),
        ("views", examination.views),
        ("atomic", examination.atomic),
        ("session", examination.session),
        ("proxy", examination.proxy),
        ("groups", examination.groups),
        ("deploy", examination.deploy),
    ):
        try:
            examine()
        except Exception as error:  # noqa: BLE001 - the modules of a project may raise anything when they are imported
            report.add(check_id, "fail", f"{type(error).__name__}: {error}")
    if any(check.status == "fail" for check in report.checks):
        report.verdict = VERDICTS["error"]
    return report


class _Local:
    """The checks of a project, one for each id of the report."""

    def __init__(self, report: Report) -> None:
        self._report = report
        #: The functions of the system checks that were called.
        self._called: set[str] = set()

    # What runs it

    def server(self) -> None:
        """Name the servers that are installed, and see what is known of gunicorn's workers."""
        found = _installed(_SERVERS)
        options = [*sys.argv[1:], *shlex.split(os.environ.get("GUNICORN_CMD_ARGS", ""))]
        worker = _option(options, "-k", "--worker-class") or ""
        threads = _option(options, "--threads")
        text = f"installed: {', '.join(found) or 'none'}, and Django's runserver"
        if worker or threads:
            text += f"; gunicorn is told worker class {worker or 'of its default'}, {threads or 1} threads"
        status: Status = "ok" if found else "warn"
        if worker in _SINGLE and (threads or "1") == "1":
            status = "warn"
            text += ": a worker of this class has room for one WebSocket, and is killed after --timeout"
        self._report.add("server", status, text, data={"installed": found, "worker_class": worker, "threads": threads})

    def asgi(self) -> None:
        """Look for signs that an ASGI server is going to serve the project."""
        found = _installed(_ASGI_SERVERS)
        text = f"no sign that an ASGI server serves the project; installed: {', '.join(found) or 'none'}"
        self._run("asgi", text, [checks.check_asgi], {"installed": found})

    # The settings

    def settings(self) -> None:
        """Check the value of each setting."""
        self._run("settings", "the settings of this package have valid values", [checks.check_settings])

    def installed_apps(self) -> None:
        """Check ``INSTALLED_APPS``."""
        if not apps.is_installed(_APP):
            self._report.add("installed-apps", "warn", f"{_APP!r} is not in INSTALLED_APPS")
            return
        self._run("installed-apps", f"{_APP!r} is in INSTALLED_APPS", [checks.check_runserver])

    def middleware(self) -> None:
        """Check ``MIDDLEWARE``."""
        if MIDDLEWARE not in settings.MIDDLEWARE:
            self._report.add("middleware", "warn", _NO_MIDDLEWARE)
            return
        self._run("middleware", "WebSocketMiddleware is the first of MIDDLEWARE", [checks.check_middleware])

    def atomic(self) -> None:
        """Check that no transaction lasts as long as a WebSocket."""
        self._run("atomic", "no transaction is open for as long as a WebSocket", [checks.check_atomic_requests])

    def session(self) -> None:
        """Say where sessions are, and whether a log-out can be seen."""
        if _SESSIONS not in settings.MIDDLEWARE:
            self._report.add("session", "ok", "there is no SessionMiddleware: WebSockets have no user of a session")
            return
        engine = settings.SESSION_ENGINE
        data = {"engine": engine, "samesite": settings.SESSION_COOKIE_SAMESITE}
        if engine.endswith(".signed_cookies"):
            text = "sessions are in signed cookies: a WebSocket does not notice that its session was logged out"
            self._report.add("session", "warn", text, data=data)
            return
        self._report.add("session", "ok", f"sessions are in {engine}", data=data)

    def proxy(self) -> None:
        """Say what the settings take from a proxy."""
        header = settings.SECURE_PROXY_SSL_HEADER
        data = {
            "SECURE_PROXY_SSL_HEADER": header and list(header),
            "USE_X_FORWARDED_HOST": settings.USE_X_FORWARDED_HOST,
            "CSRF_TRUSTED_ORIGINS": list(settings.CSRF_TRUSTED_ORIGINS),
        }
        text = ", ".join(f"{name} is {value!r}" for name, value in data.items())
        self._report.add("proxy", "ok", text, data=data)

    def groups(self) -> None:
        """Check the backends of groups."""
        functions = [checks.check_backends, checks.check_groups_deployment]
        self._run("groups", "WEBSOCKET_GROUPS is well-formed; no server was asked", functions)

    def deploy(self) -> None:
        """Make the checks for a public server, and all that no other method has made."""
        rest = [getattr(checks, name) for name in checks.__all__ if name not in self._called]
        self._run("deploy", "no setting is risky on a public server", rest)

    # The views

    def views(self) -> None:
        """List the views that take WebSockets, and those of the frameworks."""
        found = find_views()
        taking = [view.route for view in found if view.takes_websockets]
        frameworks = [view for view in found if view.framework]
        text = (
            f"{len(taking)} of {len(found)} views take WebSockets: {_shorten(taking)}"
            if taking
            else (f"none of {len(found)} views takes WebSockets, as far as their decorators can be seen")
        )
        data = {"views": [view._asdict() for view in found if view.takes_websockets or view.framework]}
        self._run("views", text, [checks.check_rest_framework], data, good="ok" if taking else "warn")
        for view in frameworks:
            what = "takes WebSockets" if view.takes_websockets else view.remark
            self._report.add("views", "ok", f"{view.route} is of {view.framework}: {what}", data=view._asdict())

    # The system checks

    def _run(
        self, check_id: str, text: str, functions: Checks, data: dict[str, Any] | None = None, good: Status = "ok"
    ) -> None:
        """Add the check ``check_id`` with ``text`` if all is well, and a check for each message of the functions."""
        functions = list(functions)
        self._called.update(function.__name__ for function in functions)
        messages = [message for function in functions for message in function() if not message.is_silenced()]
        worst = max((message.level for message in messages), default=0)
        if worst < WARNING:
            self._report.add(check_id, good, text, data=data)
        for message in messages:
            status: Status = "fail" if message.level >= ERROR else "warn" if message.level >= WARNING else "ok"
            hint = f" {message.hint}" if message.hint else ""
            details = {"check": check_id, "hint": message.hint or ""}
            self._report.add(str(message.id), status, f"{message.msg}{hint}".replace("\n", " "), data=details)


def _installed(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the distributions that are installed, by their names."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _shorten(routes: list[str]) -> str:
    """Return the first of some routes, and how many there are besides."""
    more = len(routes) - _MAX_ROUTES
    return ", ".join(routes[:_MAX_ROUTES]) + (f" and {more} more" if more > 0 else "")


def _option(arguments: list[str], *names: str) -> str | None:
    """Return the last value of an option among arguments, ``None`` if it is not there."""
    value = None
    for number, argument in enumerate(arguments):
        name, equals, rest = argument.partition("=")
        if name in names:
            value = rest if equals else next(iter(arguments[number + 1 :]), None)
    return value
