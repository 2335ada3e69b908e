"""How clients are made: of one server, of a master that Sentinels watch, or of a cluster.

Timeouts and retries are passed to redis-py explicitly, because its defaults have changed between versions. It never
retries: a command whose answer is missing may have been executed, and would be executed again. RESP2 is spoken, which
every server understands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any, TypeAlias

from ....exceptions import GroupConfigurationError
from .errors import import_redis

#: The server that a channel is to be subscribed at; ``None`` where any will do.
Route: TypeAlias = Hashable


class Topology(ABC):
    """A server, or several that work together."""

    #: Whether a channel is served by the node of its slot only.
    sharded = False
    #: Whether messages may be lost between its nodes without an error on the connection for subscriptions.
    loses = False
    #: Whether commands with keys of several groups can be sent at once.
    can_pipeline = True
    #: Whether PUBLISH returns how many connections have got a message, and not those of one node.
    counts_receivers = True

    def __init__(self, location: str | tuple[str, ...] | None, options: Mapping[str, Any]) -> None:
        """Remember the settings; nothing is connected.

        :raises GroupConfigurationError: redis-py is missing, or the settings do not fit together.
        """
        self._redis = import_redis()
        self._location = location
        self._options = options

    @abstractmethod
    def make_client(self) -> Any:
        """Return a new client for commands. That of a cluster asks for the nodes, so that errors of redis-py occur."""

    def route(self, client: Any, channel: str) -> Route:  # noqa: ARG002 - a cluster needs them
        """Return where a channel is to be subscribed."""
        return None

    def connect(self, client: Any, route: Route) -> Any:  # noqa: ARG002 - a cluster needs it
        """Return a connected connection for subscriptions, which is nobody else's."""
        return _connected(client)

    @abstractmethod
    def refresh(self, client: Any) -> None:
        """Find out anew where the servers are, as one of them has failed."""

    def publish(self, client: Any, route: Route, channel: str, data: bytes) -> None:  # noqa: ARG002 - see above
        """Publish to a channel, by the server at which ``route`` is subscribed. It is no sharded channel."""
        client.publish(channel, data)

    def _url_options(self, url: str) -> dict[str, Any]:
        """Return the arguments of a connection, with those of a URL.

        :raises GroupConfigurationError: redis-py does not accept the URL; the text does not repeat it.
        """
        try:
            options: dict[str, Any] = self._redis.connection.parse_url(url)
        except ValueError as error:
            raise GroupConfigurationError(
                f"LOCATION or SENTINELS has a URL that redis-py does not accept: {error}"
            ) from None
        if options.pop("connection_class", None) is self._redis.SSLConnection:
            options["ssl"] = True
        options.pop("retry_on_timeout", None)
        return {**options, **self._own_options(unix="path" in options)}

    def _own_options(self, *, unix: bool = False) -> dict[str, Any]:
        timeout = self._options["TIMEOUT"]
        options = {
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry": self._no_retry(),
            "health_check_interval": 0,
            "decode_responses": False,
            "protocol": 2,
        }
        return options if unix else {**options, "socket_keepalive": True}

    def _no_retry(self) -> Any:
        return self._redis.retry.Retry(self._redis.backoff.NoBackoff(), 0)


class Single(Topology):
    """One server."""

    def make_client(self) -> Any:
        """Return a new client for commands; see :meth:`Topology.make_client`."""
        options = self._url_options(str(self._location))
        connection_class = self._redis.Connection
        if "path" in options:
            connection_class = self._redis.UnixDomainSocketConnection
        elif options.pop("ssl", False):
            connection_class = self._redis.SSLConnection
        pool = self._redis.ConnectionPool(connection_class=connection_class, **options)
        client = self._redis.Redis(connection_pool=pool)
        # Otherwise close() would leave the connections of a pool open that the client has not made itself.
        client.auto_close_connection_pool = True
        return client

    def refresh(self, client: Any) -> None:
        """Close the connections: the name in the URL may be that of another server now."""
        client.connection_pool.disconnect()


class Watched(Topology):
    """A master that Sentinels watch. ``LOCATION`` has its user, password and database, if there are any."""

    def make_client(self) -> Any:
        """Return a new client for commands; see :meth:`Topology.make_client`."""
        sentinel = self._redis.sentinel.Sentinel([])
        for url in self._options["SENTINELS"]:
            options = self._url_options(url)
            options.pop("db", None)
            sentinel.sentinels.append(self._redis.Redis(**options))
        options = self._own_options() if self._location is None else self._url_options(str(self._location))
        for name in ("host", "port"):
            options.pop(name, None)
        return sentinel.master_for(self._options["SERVICE"], **options)

    def refresh(self, client: Any) -> None:
        """Close the connections: the Sentinels are asked for the master when a new one is made."""
        client.connection_pool.disconnect()


class Cluster(Topology):
    """A Redis Cluster. ``LOCATION`` has the URLs of some nodes; user, password and TLS are taken from the first."""

    can_pipeline = False
    counts_receivers = False

    def __init__(self, location: str | tuple[str, ...] | None, options: Mapping[str, Any]) -> None:
        super().__init__(location, options)
        self.sharded = options["SHARDED"] is not False
        self.loses = not self.sharded

    def make_client(self) -> Any:
        """Return a new client for commands; see :meth:`Topology.make_client`."""
        urls = (self._location,) if isinstance(self._location, str) else self._location or ()
        all_options = [self._url_options(url) for url in urls]
        node = self._redis.cluster.ClusterNode
        nodes = [node(options.get("host", "localhost"), options.get("port", 6379)) for options in all_options]
        options = {name: value for name, value in all_options[0].items() if name not in {"host", "port", "db"}}
        options.pop("health_check_interval")
        if int(self._redis.__version__.partition(".")[0]) < 6:
            options["cluster_error_retry_attempts"] = 0
        return self._redis.RedisCluster(startup_nodes=nodes, **options)

    def route(self, client: Any, channel: str) -> Route:
        """Return the name of the node that serves a sharded channel; ``None`` for any node."""
        return client.get_node_from_key(channel).name if self.sharded else None

    def connect(self, client: Any, route: Route) -> Any:
        """Return a connected connection to a node; see :meth:`Topology.connect`."""
        return _connected(client.get_redis_connection(self._find(client, route)))

    def refresh(self, client: Any) -> None:
        """Ask the nodes for the slots."""
        client.nodes_manager.initialize()

    def publish(self, client: Any, route: Route, channel: str, data: bytes) -> None:
        """Publish to a channel at a node; see :meth:`Topology.publish`."""
        client.get_redis_connection(self._find(client, route)).publish(channel, data)

    def _find(self, client: Any, route: Route) -> Any:
        node = client.get_random_node() if route is None else client.get_node(node_name=route)
        if node is None:
            raise self._redis.ConnectionError(f"the node {route} is not in the cluster any more")
        return node


def _connected(client: Any) -> Any:
    pool = client.connection_pool
    # The pool itself would count it among its own for ever, and be full after a hundred of them.
    connection = pool.connection_class(**pool.connection_kwargs)
    connection.connect()
    return connection


def make_topology(location: str | tuple[str, ...] | None, options: Mapping[str, Any]) -> Topology:
    """Return the topology that the settings describe; nothing is connected.

    :raises GroupConfigurationError: redis-py is missing, or the settings do not fit together.
    """
    cluster, sentinels, service = options["CLUSTER"], options["SENTINELS"], options["SERVICE"]
    if (sentinels is None) != (service is None):
        raise GroupConfigurationError("the options SENTINELS and SERVICE need each other")
    if cluster and sentinels is not None:
        raise GroupConfigurationError("a cluster has no Sentinels: set either CLUSTER or SENTINELS")
    if location is None and sentinels is None:
        raise GroupConfigurationError("groups on Redis need a LOCATION, such as redis://localhost:6379/0, or SENTINELS")
    if not cluster and not isinstance(location, (str, type(None))):
        raise GroupConfigurationError("a LOCATION with several URLs is that of a cluster: set the option CLUSTER")
    if options["SHARDED"] and not cluster:
        raise GroupConfigurationError("the option SHARDED needs CLUSTER")
    kind = Cluster if cluster else Watched if sentinels is not None else Single
    return kind(location, options)
