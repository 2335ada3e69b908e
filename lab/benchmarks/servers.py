"""The servers that are measured, as data, and a running one."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..servers import EVENTLET_WORKER, HOST, ServerProcess, find_program, gunicorn
from .scenarios import PUBLISHING, Scenario

#: Connections that a server must be able to hold, as an argument.
ROOM: Final = "13000"
#: The end of the names of raw servers that send each message by itself.
SPLIT: Final = "-split"
#: The models of concurrency, with their names for readers.
MODELS: Final = {"threads": "Threads", "eventlet": "eventlet", "gevent": "gevent", "async": "asyncio"}
#: The modes of an echo server.
ECHOES: Final = frozenset({"pingpong", "pipeline", "connect", "idle"})


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

    def path_of(self, mode: str) -> str:
        """Return the path to connect to in a mode."""
        return f"/{mode}" if mode in PUBLISHING else self.path

    @property
    def raw(self) -> bool:
        """Whether it echoes bytes, without a protocol."""
        return not self.path

    @property
    def missing(self) -> list[str]:
        """The modules and programs it needs that are not installed."""
        modules = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return modules + [name for name in self.programs if find_program(name) is None]


def _raw(model: str, how: str) -> Server:
    suffix, words = {"each": ("", ""), "split": (SPLIT, ", a send for each message")}[how]
    needs = () if model == "threads" else (model,)
    arguments = ("-m", "lab.benchmarks.apps.raw", model, how, "{port}")
    return Server(f"raw-{model}{suffix}", model, arguments, needs, path="", title=f"raw sockets{words}")


def _app(name: str, model: str, module: str, *needs: str, options: tuple[str, ...] = (), **more: Any) -> Server:
    return Server(name, model, ("-m", f"lab.benchmarks.apps.{module}", *options, "{port}"), needs, **more)


def _ours(name: str, model: str, arguments: tuple[str, ...], needs: tuple[str, ...], title: str) -> Server:
    return Server(name, model, arguments, needs, ours=True, title=title, modes=ECHOES | PUBLISHING)


def _gunicorn(worker: str, application: str, *options: str) -> tuple[str, ...]:
    limits = ("--worker-connections", ROOM, "--backlog", "4096", "--timeout", "0", "--log-level", "error")
    return gunicorn(worker, *limits, *options, application)


_THREADS: Final = ("--threads", ROOM)
_PROJECT: Final = "lab.benchmarks.apps.project:application"
_FLASK: Final = "lab.benchmarks.apps.flask_sock_echo:app"
_ON_EVENTLET: Final = ("-m", "lab.benchmarks.apps.on_eventlet")
_GUNICORN: Final = ("gunicorn",)

_ALL: Final = [
    *(_raw(model, how) for model in ("threads", "eventlet", "gevent") for how in ("each", "split")),
    _ours("gthread", "threads", _gunicorn("gthread", _PROJECT, *_THREADS), _GUNICORN, "gunicorn gthread"),
    Server("eventlet", "eventlet", (*_ON_EVENTLET, _PROJECT, "{port}"), ours=True, title="eventlet.wsgi"),
    _ours("gunicorn-eventlet", "eventlet", _gunicorn(EVENTLET_WORKER, _PROJECT), _GUNICORN, "gunicorn EventletWorker"),
    _ours("gevent", "gevent", _gunicorn("gevent", _PROJECT), ("gunicorn", "gevent"), "gunicorn gevent"),
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
#: All servers but the raw ones, which are added as they are needed.
DEFAULT: Final = tuple(server.name for server in _ALL if not server.raw)


def baseline(server: Server, scenario: Scenario) -> str:
    """Return the name of the server that a server is compared with: the raw one of its model.

    Where messages are published, each server is compared with a bare loop in the same process, and so with itself.
    In pipelining this raw server sends each message by itself; otherwise it would not do the same work. Servers on
    asyncio are compared with threads, because an event loop is a library already, and so there is no raw one.
    """
    if scenario.mode in PUBLISHING:
        return server.name
    model = "threads" if server.model == "async" else server.model
    return f"raw-{model}{SPLIT if scenario.mode == 'pipeline' else ''}"


class Running(ServerProcess):
    """A process of a server under load, pinned to ``cpus``. As a context manager it is started and stopped."""

    def __init__(self, server: Server, log: Path, cpus: Collection[int]) -> None:
        """Describe the process; :meth:`start` starts it."""
        super().__init__(server.name, server.arguments, log, cpus=cpus)
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
