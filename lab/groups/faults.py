"""What can happen to Redis, to a subscriber and to a worker, as data: another fault is another entry."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ..servers import HOST, eventually
from .replay import KILL, kill_subscribers
from .stage import Stage

#: The group whose members are watched.
GROUP: Final = "faults"


@dataclass(frozen=True)
class Fault:
    """One thing that happens while messages are published."""

    name: str
    #: What makes it happen, and returns when it is over.
    act: Callable[[Stage], None]
    #: Seconds that it takes, about, and those for which messages are published afterwards; 0: they end amid the fault.
    lasts: float
    after: float = 8.0
    carrier: str = "redis"
    #: Options of the backend, and settings of the project.
    groups: dict[str, Any] = field(default_factory=dict)
    #: Bytes of each message.
    size: int = 125
    #: Whether descriptors and threads may differ afterwards, because other processes serve.
    other_processes: bool = False
    #: Whether publishers must meet no error.
    publishes: bool = False

    def __str__(self) -> str:
        return self.name


def _kill(stage: Stage) -> None:
    stage.carrier.server.kill()
    time.sleep(2)
    stage.carrier.server.restart()


def _freeze(stage: Stage) -> None:
    stage.carrier.server.freeze()
    time.sleep(10)
    stage.carrier.server.thaw()


def _pause(stage: Stage) -> None:
    stage.carrier.server.command("CLIENT", "PAUSE", 8000, "ALL")
    time.sleep(8)


def _keep_busy(stage: Stage) -> None:
    # A script of somebody else; meanwhile nobody is answered.
    script = "local function now() local t = redis.call('TIME') return t[1] + t[2] / 1e6 end "
    stage.carrier.server.command("EVAL", script + "local end_ = now() + 4 while now() < end_ do end", 0)


def _wipe(stage: Stage) -> None:
    for _ in range(3):
        stage.carrier.server.command("FLUSHALL")
        time.sleep(1)


def _forget_scripts(stage: Stage) -> None:
    for _ in range(10):
        stage.carrier.server.command("SCRIPT", "FLUSH")
        time.sleep(0.1)


def _cut(stage: Stage) -> None:
    for _ in range(20):
        kill_subscribers(stage)
        time.sleep(KILL)


def _cut_at_the_end(stage: Stage) -> None:
    # The publishers end meanwhile: no later message shows what is missing.
    for _ in range(200):
        kill_subscribers(stage)
        time.sleep(0.03)


def _cut_commands(stage: Stage) -> None:
    for _ in range(20):
        stage.carrier.server.command("CLIENT", "KILL", "TYPE", "normal")
        time.sleep(0.2)


def _one_worker(stage: Stage) -> int:
    """Return a process that serves members."""
    return stage.server.children()[0]


def _overrun(stage: Stage) -> None:
    stage.carrier.server.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 262144 131072 1")
    pid = _one_worker(stage)
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(8)
    finally:
        os.kill(pid, signal.SIGCONT)


def _kill_worker(stage: Stage) -> None:
    os.kill(_one_worker(stage), signal.SIGKILL)


def _stop_worker(stage: Stage) -> None:
    pid = _one_worker(stage)
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(30)
    finally:
        os.kill(pid, signal.SIGCONT)


def _reload(stage: Stage) -> None:
    before = set(stage.server.children())
    os.kill(stage.server.process.pid, signal.SIGHUP)
    deadline = time.monotonic() + 30
    while before & set(stage.server.children()) and time.monotonic() < deadline:
        time.sleep(0.05)


def _refuse(stage: Stage) -> None:
    client = stage.carrier.server.client()
    try:
        limit = str(client.config_get("maxclients")["maxclients"])
        # Only this connection remains, and no other one has room.
        client.config_set("maxclients", 1)
        for kind in ("pubsub", "normal"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")  # type: ignore[no-untyped-call]
        time.sleep(5)
        client.config_set("maxclients", limit)
    finally:
        client.close()


def _lock_out(stage: Stage) -> None:
    client = stage.carrier.server.client()
    try:
        client.config_set("requirepass", "another")
        for kind in ("pubsub", "normal"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")  # type: ignore[no-untyped-call]
        time.sleep(5)
        client.config_set("requirepass", "")
    finally:
        client.close()


def _fill(stage: Stage) -> None:
    server = stage.carrier.server
    server.command("CONFIG", "SET", "maxmemory", "1")
    time.sleep(4)
    server.command("CONFIG", "SET", "maxmemory", "0")


def _fail_over(stage: Stage) -> None:
    sentinels = stage.carrier.sentinels
    assert sentinels is not None
    sentinels.master.kill()
    sentinels.wait_for_failover()


def _kill_master(stage: Stage) -> None:
    cluster = stage.carrier.cluster
    assert cluster is not None
    dead = cluster.master_of(f"{{{GROUP}}}")
    dead.kill()
    eventually(lambda: cluster.master_of(f"{{{GROUP}}}") is not dead)


def _move_slot(stage: Stage) -> None:
    cluster = stage.carrier.cluster
    assert cluster is not None
    for _ in range(2):
        source = cluster.master_of(f"{{{GROUP}}}")
        target = next(node for node in cluster.masters if node is not source)
        slot = source.command("CLUSTER KEYSLOT", GROUP)
        names = {node: node.command("CLUSTER MYID") for node in (source, target)}
        target.command("CLUSTER SETSLOT", slot, "IMPORTING", names[source])
        source.command("CLUSTER SETSLOT", slot, "MIGRATING", names[target])
        while keys := source.command("CLUSTER GETKEYSINSLOT", slot, 100):
            source.command("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *keys)
        for node in (target, source, *cluster.masters):
            node.command("CLUSTER SETSLOT", slot, "NODE", names[target])
        time.sleep(1)


def _nothing(stage: Stage) -> None:
    pass


FAULTS: Final = [
    Fault("nothing", _nothing, 0, 3, publishes=True),
    Fault("redis killed for 2 s", _kill, 3),
    Fault("redis killed for 2 s, AOF", _kill, 3, carrier="aof"),
    Fault("redis killed for 2 s, ON_GAP close", _kill, 3, groups={"ON_GAP": "close"}),
    Fault("redis stopped for 10 s", _freeze, 10),
    Fault("redis paused for 8 s", _pause, 8),
    Fault("redis busy for 4 s", _keep_busy, 4),
    Fault("redis wiped 3 times", _wipe, 3, publishes=True),
    Fault("scripts forgotten", _forget_scripts, 1, publishes=True),
    Fault("subscribers cut each .4 s", _cut, 8, publishes=True),
    Fault("subscribers cut, then no message", _cut_at_the_end, 2, 0, publishes=True),
    Fault("commands cut each .2 s", _cut_commands, 4),
    Fault("output buffer overrun", _overrun, 8, size=16384, publishes=True),
    Fault("redis out of connections", _refuse, 5),
    Fault("password changed for 5 s", _lock_out, 5),
    Fault("redis out of memory", _fill, 4),
    Fault("worker killed", _kill_worker, 1, other_processes=True, publishes=True),
    Fault("worker stopped for 30 s", _stop_worker, 30, publishes=True),
    Fault("workers reloaded", _reload, 5, other_processes=True, publishes=True),
    Fault("failover by Sentinels", _fail_over, 5, 12, carrier="sentinel"),
    Fault("failover in a cluster", _kill_master, 5, 12, carrier="replicated"),
    Fault("slot moved in a cluster", _move_slot, 4, carrier="sharded"),
]
BY_NAME: Final = {fault.name.replace(",", "").replace(" ", "-"): fault for fault in FAULTS}
