"""The kinds of server that the project is served by, as data: another server is another entry."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import Any

from .servers import EVENTLET_WORKER, HOST, gunicorn


@dataclass(frozen=True)
class Kind:
    """One way to serve the project."""

    name: str
    #: Arguments of the interpreter; see :class:`.servers.ServerProcess`.
    arguments: tuple[str, ...]
    #: Variables of the environment that it needs.
    environment: dict[str, str] = field(default_factory=dict)
    #: Settings of the project that it needs.
    settings: dict[str, Any] = field(default_factory=dict)
    #: Whether it serves more than one connection at a time.
    concurrent: bool = True
    #: The library whose greenlets serve its connections; empty: threads do.
    green: str = ""
    #: Whether it represents its library or its threads in tests that run on one server of each.
    lead: bool = False
    #: Whether it speaks TLS.
    tls: bool = False
    #: Whether a child of the process serves, and not the process itself.
    forks: bool = False
    #: The most threads of its pool, which stay; 0: a thread ends with its connection.
    pool: int = 0
    #: Its exit status after SIGTERM: the negative number of the signal if it died of it; ``None``: the process that
    #: serves is killed instead.
    after_sigterm: int | None = -signal.SIGTERM
    #: Its exit status after SIGINT.
    after_sigint: int = 0
    #: Whether a view that raises SystemExit ends the process.
    leaves: bool = False
    #: Whether it keeps a connection open for another request.
    keeps: bool = True
    #: Whether it reads the body of a request before it calls the application.
    reads_body: bool = False

    def __str__(self) -> str:
        return self.name


def _runserver(name: str, *options: str, **more: Any) -> Kind:
    return Kind(name, ("-m", "django", "runserver", "--noreload", *options, f"{HOST}:{{port}}"), **more)


def _serve(name: str, *arguments: str, **more: Any) -> Kind:
    return Kind(name, ("-m", "lab.project.serve", *arguments, "{port}"), **more)


def _gunicorn(name: str, worker: str, *options: str, **more: Any) -> Kind:
    arguments = gunicorn(worker, *options, "lab.project.wsgi:application")
    return Kind(name, arguments, **{"forks": True, "after_sigterm": 0, **more})


#: eventlet imports a resolver otherwise, which takes longer than all the rest of it, and which only names need. The
#: servers of the deployment page have it in tests/live/deployments.py.
_NO_RESOLVER = {"EVENTLET_NO_GREENDNS": "yes"}
#: The options for gunicorn over TLS.
_TLS = ("--certfile", "{certificate}", "--keyfile", "{certificate}")

KINDS = [
    _runserver("stock", settings={"INSTALLED_APPS": []}),
    _runserver("multithreaded", "--multithreaded", lead=True),
    _runserver("nothreading", "--nothreading", concurrent=False),
    _serve("wsgiref", "wsgiref", concurrent=False),
    _serve("eventlet", "eventlet", environment=_NO_RESOLVER, green="eventlet", lead=True, leaves=True),
    _serve("eventlet_patched", "eventlet_patched", environment=_NO_RESOLVER, green="eventlet", leaves=True),
    # After SIGINT this hub raises "Already running!".
    _serve(
        "eventlet_asyncio",
        "eventlet",
        environment={"EVENTLET_HUB": "asyncio", **_NO_RESOLVER},
        green="eventlet",
        after_sigint=1,
        leaves=True,
    ),
    _gunicorn("gunicorn_sync", "sync", "--timeout", "0", concurrent=False),
    _gunicorn("gunicorn_gthread", "gthread", "--threads", "128", pool=128, lead=True),
    _gunicorn("gunicorn_gevent", "gevent", "--worker-connections", "4096", green="gevent", lead=True),
    _gunicorn("gunicorn_pywsgi", "gevent_pywsgi", green="gevent"),
    _gunicorn(
        "gunicorn_eventlet",
        EVENTLET_WORKER,
        *("--worker-connections", "4096"),
        environment=_NO_RESOLVER,
        green="eventlet",
        lead=True,
    ),
    _serve("gevent", "gevent", green="gevent", leaves=True, after_sigint=-signal.SIGINT),
    _serve("gevent_patched", "gevent_patched", green="gevent", leaves=True, after_sigint=-signal.SIGINT),
    _serve("werkzeug", "werkzeug", keeps=False),
    Kind(
        "runserver_plus",
        ("-m", "django", "runserver_plus", "--nopin", f"{HOST}:{{port}}"),
        settings={"INSTALLED_APPS": ["django_websocket", "django_extensions"]},
        forks=True,
        keeps=False,
        after_sigterm=None,
    ),
    _serve("cheroot", "cheroot", pool=128, after_sigint=-signal.SIGINT),
    _serve("waitress", "waitress", pool=128, reads_body=True),
]
#: The same servers over TLS, those that have it.
TLS_KINDS = [
    _serve(
        "eventlet_tls", "eventlet", "{certificate}", environment=_NO_RESOLVER, green="eventlet", tls=True, leaves=True
    ),
    _gunicorn("gunicorn_gthread_tls", "gthread", "--threads", "128", *_TLS, pool=128, tls=True),
    _gunicorn("gunicorn_gevent_tls", "gevent", *_TLS, green="gevent", tls=True),
    _gunicorn("gunicorn_eventlet_tls", EVENTLET_WORKER, *_TLS, environment=_NO_RESOLVER, green="eventlet", tls=True),
    _serve("gevent_tls", "gevent", "{certificate}", green="gevent", tls=True, leaves=True),
    _serve("werkzeug_tls", "werkzeug", "{certificate}", tls=True, keeps=False),
    _serve("cheroot_tls", "cheroot", "{certificate}", pool=128, tls=True),
]
#: Servers that do not show an application the socket of the client, so that they cannot carry WebSockets.
SOCKETLESS_KINDS = [
    Kind(
        "granian",
        (
            "-m",
            "granian",
            "--interface",
            "wsgi",
            "--host",
            HOST,
            "--port",
            "{port}",
            "lab.project.wsgi:application",
        ),
    ),
    _serve("uwsgi", "uwsgi"),
    _serve("bjoern", "bjoern"),
]
#: An ASGI server that treats a WebSocket handshake as a plain request.
ASGI_KIND = Kind("uvicorn", ("-m", "uvicorn", "--ws", "none", "--port", "{port}", "lab.project.asgi:application"))
#: An ASGI server that accepts WebSockets by a library of its own.
SCOPE_KIND = Kind("uvicorn_scope", ("-m", "uvicorn", "--port", "{port}", "lab.project.asgi:application"))
#: gunicorn behind protocols that carry no WebSockets.
UWSGI_KIND = _gunicorn("gunicorn_uwsgi", "gthread", "--threads", "2", "--protocol", "uwsgi")
HTTP2_KINDS = [
    _gunicorn(f"gunicorn_{worker}_h2", worker, *options, "--http-protocols", "h2,h1", *_TLS, tls=True)
    for worker, *options in (("gthread", "--threads", "2"), ("gevent",))
]
#: The kinds that carry WebSockets, with TLS and without.
BY_NAME = {kind.name: kind for kind in [*KINDS, *TLS_KINDS]}
