"""The servers that are measured, as data, and a running one."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ..servers import EVENTLET_WORKER, HOST, ServerProcess, find_program, gunicorn
from .scenarios import BURSTS, PUBLISHING, Scenario

#: Connections that a server must be able to hold, as an argument.
ROOM: Final = "13000"
#: The end of the names of raw servers that send each message by itself.
SPLIT: Final = "-split"
#: The beginning of the names of servers that do no more in a view of Django than a WebSocket needs.
LEAST: Final = "django-min-"
#: The models of concurrency, with their names for readers.
MODELS: Final = {"threads": "Threads", "eventlet": "eventlet", "gevent": "gevent", "async": "asyncio"}
#: The modes of an echo server.
ECHOES: Final = frozenset({"pingpong", "pipeline", "connect", "idle"})
#: The modes of this package: besides echoes, views that cork their answers, and groups.
ALL: Final = ECHOES | {"corked"} | PUBLISHING
#: The variable of the environment by which the package runs without its accelerator, and the value for that.
PLAIN: Final = ("DJANGO_WEBSOCKET_SPEEDUPS", "0")
#: The end of the names of servers that run the package without its accelerator.
IN_PYTHON: Final = "-python"


@dataclass(frozen=True)
class Server:
    """One server, an entry of :data:`SERVERS`."""

    name: str
    #: Its model of concurrency: threads, eventlet, gevent or async.
    model: str
    #: Arguments of the interpreter; ``{port}`` stands for the port.
    arguments: tuple[str, ...]
    #: Modules that it needs; without them it is skipped.
    needs: tuple[str, ...] = ()
    #: The path at which it echoes; empty: it is a raw server.
    path: str = "/echo"
    #: Whether it runs this package.
    ours: bool = False
    #: Its name for readers.
    title: str = ""
    #: The modes in which it is measured.
    modes: frozenset[str] = ECHOES
    #: Programs that it starts; without them it is skipped.
    programs: tuple[str, ...] = ()
    #: Whether it is measured where no servers are named.
    default: bool = True
    #: Variables of its environment, in addition to those of this process.
    environment: tuple[tuple[str, str], ...] = ()

    def path_of(self, mode: str) -> str:
        """Return the path to connect to in a mode."""
        return self.path if mode in ECHOES or self.raw else f"/{mode}"

    @property
    def raw(self) -> bool:
        """Whether it echoes bytes, without a protocol."""
        return not self.path

    @property
    def limit(self) -> bool:
        """Whether others are compared with it, so that its ratio is always 1."""
        return self.raw or self.name.startswith(LEAST)

    @property
    def missing(self) -> list[str]:
        """The modules and programs it needs that are not installed."""
        modules = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return modules + [name for name in self.programs if find_program(name) is None]


def _raw(model: str, how: str) -> Server:
    suffix, words = {"each": ("", ""), "split": (SPLIT, ", a send for each message")}[how]
    needs = () if model == "threads" else (model,)
    arguments = ("-m", "lab.benchmarks.apps.raw", model, how, "{port}")
    title = f"raw sockets{words}"
    return Server(f"raw-{model}{suffix}", model, arguments, needs, path="", title=title, default=False)


def _least(model: str, arguments: tuple[str, ...], *needs: str) -> Server:
    title = "the least that a view of Django can do"
    return Server(LEAST + model, model, arguments, needs, title=title, modes=frozenset({"connect"}), default=False)


def _app(name: str, model: str, module: str, *needs: str, options: tuple[str, ...] = (), **more: Any) -> Server:
    return Server(name, model, ("-m", f"lab.benchmarks.apps.{module}", *options, "{port}"), needs, **more)


def _ours(name: str, model: str, arguments: tuple[str, ...], *needs: str, **more: Any) -> list[Server]:
    """Return a server with this package, and the same one without the accelerator."""
    server = Server(name, model, arguments, needs, ours=True, **{"modes": ALL, **more})
    title = f"{server.title}, in Python"
    return [server, replace(server, name=name + IN_PYTHON, title=title, default=False, environment=(PLAIN,))]


def _gunicorn(worker: str, application: str, *options: str) -> tuple[str, ...]:
    limits = ("--worker-connections", ROOM, "--backlog", "4096", "--timeout", "0", "--log-level", "error")
    return gunicorn(worker, *limits, *options, application)


_THREADS: Final = ("--threads", ROOM)
_MINIMUM: Final = "lab.benchmarks.apps.django_min:application"
_PROJECT: Final = "lab.benchmarks.apps.project:application"
_FLASK: Final = "lab.benchmarks.apps.flask_sock_echo:app"
_ON_EVENTLET: Final = ("-m", "lab.benchmarks.apps.on_eventlet")

_ALL: Final = [
    *(_raw(model, how) for model in ("threads", "eventlet", "gevent") for how in ("each", "split")),
    _least("threads", _gunicorn("gthread", _MINIMUM, *_THREADS), "gunicorn"),
    _least("eventlet", (*_ON_EVENTLET, _MINIMUM, "{port}")),
    _least("gevent", _gunicorn("gevent", _MINIMUM), "gunicorn", "gevent"),
    *_ours("gthread", "threads", _gunicorn("gthread", _PROJECT, *_THREADS), "gunicorn", title="gunicorn gthread"),
    *_ours(
        "eventlet",
        "eventlet",
        (*_ON_EVENTLET, _PROJECT, "{port}"),
        title="eventlet.wsgi",
        # EventletWorker shows what groups cost on eventlet.
        modes=ECHOES | {"corked"},
    ),
    *_ours(
        "gunicorn-eventlet",
        "eventlet",
        _gunicorn(EVENTLET_WORKER, _PROJECT),
        "gunicorn",
        title="gunicorn EventletWorker",
    ),
    *_ours("gevent", "gevent", _gunicorn("gevent", _PROJECT), "gunicorn", "gevent", title="gunicorn gevent"),
    _app("websockets-sync", "threads", "websockets_sync", "websockets", title="websockets, sync"),
    Server(
        "flask-sock-gthread",
        "threads",
        _gunicorn("gthread", _FLASK, *_THREADS),
        ("flask_sock", "gunicorn"),
        title="flask-sock, gunicorn gthread",
    ),
    _app("eventlet-websocket", "eventlet", "eventlet_websocket", "eventlet", title="eventlet.websocket"),
    Server(
        "flask-sock-eventlet",
        "eventlet",
        (*_ON_EVENTLET, _FLASK, "{port}"),
        ("flask_sock",),
        title="flask-sock, eventlet.wsgi",
    ),
    _app("gevent-websocket", "gevent", "gevent_websocket", "geventwebsocket", title="gevent-websocket"),
    Server(
        "flask-sock-gevent",
        "gevent",
        _gunicorn("gevent", _FLASK),
        ("flask_sock", "gunicorn", "gevent"),
        title="flask-sock, gunicorn gevent",
    ),
    Server(
        "channels-uvicorn",
        "async",
        (
            "-m",
            "uvicorn",
            "--host",
            HOST,
            "--port",
            "{port}",
            "--ws",
            "websockets-sansio",
            "--log-level",
            "error",
            "lab.benchmarks.apps.channels_echo:application",
        ),
        ("channels", "uvicorn", "websockets"),
        title="Channels, uvicorn",
    ),
    *(
        _app(
            f"channels-redis{suffix}",
            "async",
            "channels_groups",
            "channels_redis",
            "uvicorn",
            "websockets",
            options=(layer,),
            title=f"Channels, {title}, uvicorn",
            modes=frozenset({"fan"}),
            programs=("redis-server",),
        )
        for suffix, layer, title in (
            ("", "core", "RedisChannelLayer"),
            ("-pubsub", "pubsub", "RedisPubSubChannelLayer"),
        )
    ),
    _app(
        "websockets-asyncio",
        "async",
        "websockets_asyncio",
        "websockets",
        options=("asyncio",),
        title="websockets, asyncio",
        modes=ECHOES | {"fan"},
    ),
    _app(
        "websockets-uvloop",
        "async",
        "websockets_asyncio",
        "websockets",
        "uvloop",
        options=("uvloop",),
        title="websockets, uvloop",
        modes=frozenset({"fan"}),
    ),
    _app("picows", "async", "picows_echo", "picows", "uvloop", title="picows, uvloop"),
]
SERVERS: Final = {server.name: server for server in _ALL}
#: All servers but those that others are compared with, which are added as they are needed.
DEFAULT: Final = tuple(server.name for server in _ALL if server.default)


def baseline(server: Server, scenario: Scenario) -> str:
    """Return the name of the server that a server is compared with: the raw one of its model.

    Where messages are published, each server is compared with a bare loop in the same process, and so with itself.
    Where connections are opened, most of the work is that of Django, so that it is compared with a view that does no
    more than it has to. In pipelining the raw server sends each message by itself; otherwise it would not do the same
    work. Servers on asyncio are compared with threads, because an event loop is a library already, and so there is no
    raw one.
    """
    if scenario.mode in PUBLISHING:
        return server.name
    model = "threads" if server.model == "async" else server.model
    if scenario.mode == "connect":
        return LEAST + model
    return f"raw-{model}{SPLIT if scenario.mode in BURSTS else ''}"


class Running(ServerProcess):
    """A process of a server under load, pinned to ``cpus``. As a context manager it is started and stopped."""

    def __init__(self, server: Server, log: Path, cpus: Collection[int]) -> None:
        """Describe the process; :meth:`start` starts it."""
        environment = {**os.environ, **dict(server.environment)}
        super().__init__(server.name, server.arguments, log, environment=environment, cpus=cpus)
        self.server = server

    def __enter__(self) -> Running:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process that was started; others may descend from it."""
        return self.process.pid
