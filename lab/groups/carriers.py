"""What carries the messages between processes: Redis in each of the ways that a project may run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..redis_servers import SERVICE, RedisCluster, RedisSentinels, RedisServer
from ..servers import make_certificate

_BACKEND: Final = "django_websocket.groups.backends.redis.RedisBackend"
#: A password with characters that a URL has to escape; it signs messages as well.
_SECRET: Final = "p@ss:word/ of the site, long enough"  # noqa: S105 - of servers that live for a test only


@dataclass
class Carrier:
    """A running Redis, or several that belong together."""

    location: Any
    options: dict[str, Any]
    #: Each server that holds messages.
    servers: list[RedisServer]
    stop: Callable[[], None]
    sentinels: RedisSentinels | None = None
    cluster: RedisCluster | None = None

    def settings(self, **options: Any) -> dict[str, Any]:
        """Return ``WEBSOCKET_GROUPS``; ``options`` come on top of those that the carrier needs."""
        groups = {"BACKEND": _BACKEND, "LOCATION": self.location, "OPTIONS": {**self.options, **options}}
        return {"WEBSOCKET_GROUPS": {"default": groups}}

    @property
    def server(self) -> RedisServer:
        """The only server, or the first."""
        return self.servers[0]


def _single(server: RedisServer, location: str | None = None, **options: Any) -> Carrier:
    server.start()
    return Carrier(location or server.url, options, [server], server.stop)


def _redis(folder: Path) -> Carrier:
    return _single(RedisServer(folder))


def _persistent(folder: Path) -> Carrier:
    return _single(RedisServer(folder, persistent=True))


def _password(folder: Path) -> Carrier:
    return _single(RedisServer(folder, password=_SECRET))


def _unix(folder: Path) -> Carrier:
    server = RedisServer(folder, unix=True)
    return _single(server, server.unix_url)


def _tls(folder: Path) -> Carrier:
    return _single(RedisServer(folder, certificate=make_certificate()))


def _signed(folder: Path) -> Carrier:
    return _single(RedisServer(folder), SECRET=_SECRET)


def _sentinel(folder: Path) -> Carrier:
    sentinels = RedisSentinels(folder)
    sentinels.start()
    options = {"SENTINELS": sentinels.addresses, "SERVICE": SERVICE}
    return Carrier(None, options, [sentinels.master, *sentinels.replicas], sentinels.stop, sentinels=sentinels)


def _cluster(folder: Path, replicas: int = 0, **options: Any) -> Carrier:
    cluster = RedisCluster(folder, replicas=replicas)
    cluster.start()
    return Carrier(cluster.urls, {"CLUSTER": True, **options}, cluster.nodes, cluster.stop, cluster=cluster)


def _sharded(folder: Path) -> Carrier:
    return _cluster(folder, SHARDED=True)


def _replicated(folder: Path) -> Carrier:
    return _cluster(folder, replicas=1, SHARDED=True)


#: The carriers by name. The variable REDIS_SERVER of the environment names another program, such as valkey-server.
CARRIERS: Final[dict[str, Callable[[Path], Carrier]]] = {
    "redis": _redis,
    "aof": _persistent,
    "password": _password,
    "unix": _unix,
    "tls": _tls,
    "signed": _signed,
    "sentinel": _sentinel,
    "cluster": _cluster,
    "sharded": _sharded,
    "replicated": _replicated,
}
