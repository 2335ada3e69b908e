"""Redis servers that an instrument or a test starts for itself: one, a cluster, or one watched by Sentinels.

Each server is a :class:`RedisServer` with a directory of its own, on free ports of the loopback interface; it never
uses the default port. All of it works with Valkey as well: the environment variable ``REDIS_SERVER`` names the program.
"""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from .servers import HOST, PATIENCE, ServerProcess, eventually, find_program, free_port, insecure

if TYPE_CHECKING:
    from redis import Redis

#: The slots of a cluster.
SLOTS: Final = 16384
#: Milliseconds after which the nodes of a cluster, or the Sentinels, take a server that does not answer for dead.
NODE_TIMEOUT: Final = 1000
#: The name of the master that the Sentinels of :class:`RedisSentinels` watch.
SERVICE: Final = "groups"


def find_redis() -> str | None:
    """Return the path of ``redis-server``, or of what ``REDIS_SERVER`` names; ``None`` if it is not installed."""
    return find_program(os.environ.get("REDIS_SERVER", "redis-server"))


class RedisServer(ServerProcess):
    """A Redis server of one's own. It keeps its port, its directory and its options when it is started again."""

    def __init__(
        self,
        directory: Path,
        *options: str,
        password: str | None = None,
        persistent: bool = False,
        unix: bool = False,
        certificate: Path | None = None,
        sentinel: Path | None = None,
    ) -> None:
        """Describe the server; :meth:`start` starts it.

        ``directory`` is made; the log and the data are there. ``options`` are those of the command line, such as
        ``"--maxmemory", "10mb"``. A ``persistent`` server writes each command to a file before it answers; others have
        forgotten all after a restart. ``unix`` makes it listen on :attr:`socket_path` too. With a ``certificate``,
        which has its key in the same file, it speaks TLS only. ``sentinel`` is the configuration of a Sentinel, which
        this server then is.

        :raises RuntimeError: there is no ``redis-server``.
        """
        program = find_redis()
        if program is None:
            raise RuntimeError("redis-server is not installed")
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.password = password
        self.socket_path = directory / "redis.sock" if unix else None
        self.tls = certificate is not None
        arguments = [str(sentinel), "--sentinel"] if sentinel is not None else []
        arguments += ["--bind", HOST, "--dir", str(directory), "--daemonize", "no"]
        if sentinel is None:
            arguments += ["--save", "", "--appendonly", "yes" if persistent else "no", "--appendfsync", "always"]
        arguments += ["--port", "0", "--tls-port", "{port}"] if self.tls else ["--port", "{port}"]
        if self.tls:
            for name in ("cert", "key", "ca-cert"):
                arguments += [f"--tls-{name}-file", "{certificate}"]
            arguments += ["--tls-auth-clients", "no"]
        if password is not None:
            arguments += ["--requirepass", password, "--masterauth", password]
        if self.socket_path is not None:
            arguments += ["--unixsocket", str(self.socket_path)]
        super().__init__(
            "redis-server",
            [*arguments, *options],
            directory / "log",
            program=program,
            certificate=certificate,
        )

    @property
    def url(self) -> str:
        """The URL for clients, by TCP."""
        scheme, query = ("rediss", "?ssl_cert_reqs=none") if self.tls else ("redis", "")
        return f"{scheme}://{self._credentials}{HOST}:{self.port}/0{query}"

    @property
    def unix_url(self) -> str:
        """The URL for clients, by the Unix socket."""
        return f"unix://{self._credentials}{self.socket_path}"

    @property
    def _credentials(self) -> str:
        return "" if self.password is None else f":{quote(self.password, safe='')}@"

    def client(self) -> Redis:
        """Return a new client of the server, which returns text; whoever asked for it closes it."""
        from redis import Redis

        return Redis.from_url(self.url, decode_responses=True, socket_timeout=PATIENCE)

    def command(self, *words: Any) -> Any:
        """Execute one command on a connection of its own, and return the answer."""
        client = self.client()
        try:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]
        finally:
            client.close()

    def start(self) -> None:
        """Start the server, and wait until it answers; its port is a free one the first time, and the same later."""
        if not self.port:
            super().start()
            return
        self._spawn()
        if not self._wait_until_ready():
            raise RuntimeError(self._describe_failure())

    def is_ready(self) -> bool:
        """Return whether the server answers, and has its data in memory."""
        try:
            sock = socket.create_connection((HOST, self.port), 1)
            with insecure().wrap_socket(sock) if self.tls else sock as stream:
                stream.sendall(b"PING\r\n")
                return stream.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def kill(self) -> None:
        """End the process at once (SIGKILL), and wait until it has ended."""
        self.signal(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def restart(self) -> None:
        """Kill the server if it is alive, and start it on the same port, with what it has stored."""
        if self.alive:
            self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop the process (SIGSTOP): its connections stay, and nothing is answered until :meth:`thaw`."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue the process (SIGCONT)."""
        self.signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the process, a frozen one too; do nothing the second time."""
        if self.alive:
            self.thaw()
        super().stop()


class RedisCluster:
    """A Redis Cluster: masters that share the slots, and replicas of them."""

    def __init__(self, directory: Path, *, masters: int = 3, replicas: int = 0) -> None:
        """Describe the cluster; ``replicas`` is the number of them for each master."""
        self.masters = [self._make_node(directory / f"master{number}") for number in range(masters)]
        self.replicas = [self._make_node(directory / f"replica{number}") for number in range(masters * replicas)]

    @staticmethod
    def _make_node(directory: Path) -> RedisServer:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT)]
        # The default would be the port and 10 000, which may be no port.
        options += ["--cluster-port", str(free_port()), "--cluster-replica-validity-factor", "0"]
        return RedisServer(directory, *options, "--repl-diskless-sync-delay", "0")

    @property
    def nodes(self) -> list[RedisServer]:
        """All servers, masters first."""
        return [*self.masters, *self.replicas]

    @property
    def urls(self) -> list[str]:
        """The URLs of all servers."""
        return [node.url for node in self.nodes]

    def start(self) -> None:
        """Start the servers, join them into a cluster, and wait until it works."""
        for node in self.nodes:
            node.start()
        first = self.masters[0]
        client = first.client()
        bus = client.config_get("cluster-port")["cluster-port"]
        client.close()
        for number, master in enumerate(self.masters):
            begin, end = (SLOTS * at // len(self.masters) for at in (number, number + 1))
            master.command("CLUSTER ADDSLOTSRANGE", begin, end - 1)
        for node in self.nodes[1:]:
            node.command("CLUSTER MEET", HOST, first.port, bus)
        for node in self.nodes:
            eventually(lambda node=node: node.command("CLUSTER INFO")["cluster_known_nodes"], self._is_all)  # type: ignore[misc]
        for number, replica in enumerate(self.replicas):
            master = self.masters[number % len(self.masters)]
            replica.command("CLUSTER REPLICATE", master.command("CLUSTER MYID"))
        self.wait_until_ok()
        for replica in self.replicas:
            eventually(lambda replica=replica: replica.command("INFO", "replication")["master_link_status"] == "up")  # type: ignore[misc]

    def _is_all(self, known: object) -> bool:
        return int(str(known)) == len(self.nodes)

    def wait_until_ok(self) -> None:
        """Wait until all living servers say that the cluster works.

        They say so too as long as they have not noticed that a server is dead.
        """
        for node in self.nodes:
            if node.alive:
                eventually(lambda node=node: node.command("CLUSTER INFO")["cluster_state"] == "ok")  # type: ignore[misc]

    def master_of(self, key: str) -> RedisServer:
        """Return the server that has the slot of a key at the moment."""
        living = [node for node in self.nodes if node.alive]
        slot = int(living[0].command("CLUSTER KEYSLOT", key))
        for node in living:
            for begin, end, (_, port, *_), *_ in _slot_ranges(node):
                if begin <= slot <= end:
                    return next(one for one in self.nodes if one.port == port)
        raise RuntimeError(f"no node has slot {slot}")

    def stop(self) -> None:
        """End the servers."""
        for node in self.nodes:
            node.stop()


def _slot_ranges(node: RedisServer) -> list[Any]:
    client = node.client()
    try:
        # The answer as it is: redis-py makes a dictionary of it.
        client.response_callbacks.pop("CLUSTER SLOTS", None)
        return list(client.execute_command("CLUSTER SLOTS"))  # type: ignore[no-untyped-call]
    finally:
        client.close()


class RedisSentinels:
    """A master, replicas of it, and Sentinels that make a replica the master when the master is dead."""

    def __init__(self, directory: Path, *, replicas: int = 1, sentinels: int = 3) -> None:
        """Describe them."""
        self._directory = directory
        self._quorum = sentinels // 2 + 1
        self.master = RedisServer(directory / "master")
        self._replicas = replicas
        self._sentinels = sentinels
        self.replicas: list[RedisServer] = []
        self.sentinels: list[RedisServer] = []

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The addresses of the Sentinels, as the setting ``SENTINELS`` takes them."""
        return [(HOST, sentinel.port) for sentinel in self.sentinels]

    def start(self) -> None:
        """Start them, and wait until the Sentinels know the replicas and each other."""
        self.master.start()
        for number in range(self._replicas):
            options = ["--replicaof", f"{HOST} {self.master.port}"]
            replica = RedisServer(self._directory / f"replica{number}", *options)
            self.replicas.append(replica)
            replica.start()
            eventually(lambda replica=replica: replica.command("INFO", "replication")["master_link_status"] == "up")  # type: ignore[misc]
        for number in range(self._sentinels):
            self.sentinels.append(self._make_sentinel(self._directory / f"sentinel{number}"))
            self.sentinels[-1].start()
        for sentinel in self.sentinels:
            eventually(lambda sentinel=sentinel: self._knows_all(sentinel))  # type: ignore[misc]

    def _make_sentinel(self, directory: Path) -> RedisServer:
        directory.mkdir()
        configuration = directory / "sentinel.conf"
        configuration.write_text(
            f"sentinel monitor {SERVICE} {HOST} {self.master.port} {self._quorum}\n"
            f"sentinel down-after-milliseconds {SERVICE} {NODE_TIMEOUT}\n"
            f"sentinel failover-timeout {SERVICE} 3000\n"
        )
        return RedisServer(directory, sentinel=configuration)

    def _knows_all(self, sentinel: RedisServer) -> bool:
        state = sentinel.command("SENTINEL MASTER", SERVICE)
        return (state["num-slaves"], state["num-other-sentinels"]) == (self._replicas, self._sentinels - 1)

    def wait_for_failover(self) -> RedisServer:
        """Wait until a majority of the Sentinels names another living master, and return it."""

        def find() -> RedisServer | None:
            ports = [int(one.command("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)[1]) for one in self.sentinels]
            port = max(set(ports), key=ports.count)
            found = next((one for one in self.replicas if one.port == port and ports.count(port) >= self._quorum), None)
            return found if found is not None and found.command("ROLE")[0] == "master" else None

        found = eventually(find)
        assert found is not None
        return found

    def stop(self) -> None:
        """End them, the Sentinels first."""
        for server in [*self.sentinels, *self.replicas, self.master]:
            server.stop()
