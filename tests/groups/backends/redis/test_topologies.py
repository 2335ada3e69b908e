"""One server by TCP, TLS and a Unix socket; a cluster; a master that Sentinels watch."""

import itertools
import re
import time

import pytest

from django_websocket.exceptions import GroupConfigurationError, GroupUnavailable
from django_websocket.groups.backends.redis import topologies
from django_websocket.groups.backends.redis.options import OPTIONS
from django_websocket.groups.payload import Payload, unwrap
from django_websocket.groups.position import Position
from django_websocket.groups.snapshot import Search
from lab.redis_servers import SERVICE, RedisCluster, RedisSentinels
from lab.servers import eventually

from ....test_docs import ROOT
from ...recording import member

pytestmark = pytest.mark.timeout(240)

#: Groups that are on different nodes.
GROUPS = [f"g{number}" for number in range(12)]


def send(backend, text, group="g", history=0):
    return backend.publish(group, Payload("text", text), history=history)


def add(backend, group="g", name=None, since=None):
    one, recorder = member(group, name, enveloped=True)
    return one, recorder, backend.add(one, since=since)


def options(**more):
    return {name: validate(more.get(name, default)) for name, (validate, default) in OPTIONS.items()}


def consume(call, times):
    for _ in range(times):
        call()


def check(make, location, **more):
    """Check that two processes reach each other in several groups, and that all the rest works."""
    here, there = make(location, **more), make(location, **more)
    members = {group: add(there, group, name="ann") for group in GROUPS}
    for group, (_, recorder, _) in members.items():
        position = send(here, "1", group, history=10)
        send(here, "2", group, history=10)
        recorder.wait_for(lambda it: len(it.texts) == 2)
        assert [one.data for one in recorder.envelopes] == ["1", "2"]
        assert here.names(group) == {"ann"}
        _, again, replay = add(here, group, since=position)
        assert replay.complete
        assert [one.data for one in again.envelopes] == ["2"]
    here.close(GROUPS[0], 4000, "over")
    _, recorder, _ = members[GROUPS[0]]
    recorder.wait_for(lambda it: it.closed)
    for group, (one, _, _) in members.items():
        there.discard(one)
        eventually(lambda group=group: here.names(group), lambda names: names == set())
    snapshots, silent = here.call_roll(Search(), 500).collect(time.monotonic() + 20)
    assert (len(snapshots), silent) == (1, [])
    assert here.status().healthy
    return here, there


# Settings


@pytest.mark.parametrize(
    ("location", "more", "text"),
    [
        (None, {}, "need a LOCATION"),
        (None, {"CLUSTER": True}, "need a LOCATION"),
        (("redis://a", "redis://b"), {}, "set the option CLUSTER"),
        ("redis://a", {"SENTINELS": [("a", 1)]}, "SENTINELS and SERVICE need each other"),
        ("redis://a", {"SERVICE": "a"}, "SENTINELS and SERVICE need each other"),
        ("redis://a", {"SENTINELS": [("a", 1)], "SERVICE": "a", "CLUSTER": True}, "either CLUSTER or SENTINELS"),
        ("redis://a", {"SHARDED": True}, "SHARDED needs CLUSTER"),
    ],
)
def test_settings_that_do_not_fit_together(location, more, text):
    pytest.importorskip("redis")
    with pytest.raises(GroupConfigurationError, match=text):
        topologies.make_topology(location, options(**more))


@pytest.mark.parametrize(
    ("location", "more", "kind", "sharded"),
    [
        ("redis://a", {}, topologies.Single, False),
        (None, {"SENTINELS": [("a", 1)], "SERVICE": "a"}, topologies.Watched, False),
        ("redis://a", {"CLUSTER": True}, topologies.Cluster, True),
        (("redis://a", "redis://b"), {"CLUSTER": True, "SHARDED": False}, topologies.Cluster, False),
    ],
)
def test_the_topology_of_settings(location, more, kind, sharded):
    pytest.importorskip("redis")
    topology = topologies.make_topology(location, options(**more))
    assert type(topology) is kind
    assert topology.sharded is sharded


def test_nothing_is_retried_and_every_wait_has_a_deadline():
    pytest.importorskip("redis")
    topology = topologies.make_topology("redis://a?socket_timeout=99&retry_on_timeout=yes", options(TIMEOUT=3))
    pool = topology.make_client().connection_pool
    assert pool.connection_kwargs["socket_timeout"] == pool.connection_kwargs["socket_connect_timeout"] == 3
    connection = pool.connection_class(**pool.connection_kwargs)
    assert connection.retry._retries == 0
    assert not connection.retry_on_timeout


def test_a_url_that_redis_py_does_not_accept():
    pytest.importorskip("redis")
    topology = topologies.make_topology("redis://:secret@a?socket_timeout=x", options())
    with pytest.raises(GroupConfigurationError, match="does not accept") as caught:
        topology.make_client()
    assert "secret" not in str(caught.value)


# One server


def test_one_server(make, redis_server):
    check(make, redis_server.url)


def test_a_password(make, start):
    server = start(password="p@ss w/ord")
    check(make, server.url)


@pytest.mark.parametrize("password", ["", ":wrong@"])
def test_a_wrong_password(make, start, password, caplog):
    server = start(password="right")
    here = make(f"redis://{password}127.0.0.1:{server.port}/0", TIMEOUT=0.5)
    with pytest.raises(GroupConfigurationError, match="does not accept the user or the password"):
        send(here, "hello")
    with pytest.raises(GroupUnavailable, match="does not accept the user or the password"):
        add(here)
    assert "password" in here.status().problem
    assert "wrong" not in caplog.text


def test_a_user_that_may_not_do_what_groups_need(make, redis_server):
    redis_server.command("ACL SETUSER", "weak", "on", ">weak", "~*", "&*", "+@all", "-evalsha", "-eval")
    here = make(f"redis://weak:weak@127.0.0.1:{redis_server.port}/0")
    with pytest.raises(GroupConfigurationError, match="forbids"):
        send(here, "hello")


def documented_user(prefix, *more):
    """Return what the page on scaling gives the user ``web``, with the prefix of a test."""
    page = (ROOT / "docs" / "scaling.rst").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ +user (web on >the-password .+)$", page, re.MULTILINE)
    return [*line.replace("django-websocket", prefix).split(), *more]


def test_a_user_with_the_documented_rights(make, redis_server, prefix):
    redis_server.command("ACL SETUSER", *documented_user(prefix))
    check(make, f"redis://web:the-password@127.0.0.1:{redis_server.port}/0")


def test_a_server_that_has_no_room(make, start):
    server = start("--maxmemory", "1mb")
    here = make(server.url)
    with pytest.raises(GroupUnavailable, match="maxmemory") as caught:
        consume(lambda: send(here, "x" * 1000, history=10_000), 10_000)
    assert not caught.value.maybe_sent


def test_a_replica_takes_no_messages(make, start):
    master = start()
    replica = start("--replicaof", f"127.0.0.1 {master.port}")
    eventually(lambda: replica.command("INFO", "replication")["master_link_status"] == "up")
    with pytest.raises(GroupUnavailable, match="read only") as caught:
        send(make(replica.url), "hello")
    assert not caught.value.maybe_sent


def test_the_option_of_a_cluster_without_a_cluster(make, redis_server):
    with pytest.raises(GroupConfigurationError, match="is no cluster"):
        send(make(redis_server.url, CLUSTER=True), "hello")


def test_a_unix_socket(make, start):
    check(make, start(unix=True).unix_url)


def test_tls(make, start, certificate):
    check(make, start(certificate=certificate).url)


# A cluster


@pytest.fixture
def cluster(redis_server, tmp_path):
    """Return three nodes."""
    cluster = RedisCluster(tmp_path / "cluster")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def replicated(redis_server, tmp_path):
    """Return three nodes, and a replica of each."""
    cluster = RedisCluster(tmp_path / "cluster", replicas=1)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


class TestCluster:
    @pytest.mark.parametrize("sharded", [None, False])
    def test_all_nodes(self, make, cluster, prefix, sharded):
        masters = {cluster.master_of(f"{prefix}:{{{group}}}:c").port for group in GROUPS}
        assert len(masters) == 3
        here, there = check(make, cluster.urls, CLUSTER=True, SHARDED=sharded)
        for backend in (here, there):
            assert len(backend._subscribers._subscribers) == (1 if sharded is False else 3)

    @pytest.mark.live
    @pytest.mark.parametrize("sharded", [None, False])
    def test_a_user_with_the_documented_rights(self, make, cluster, prefix, sharded):
        rights = ["+cluster", "+command", "+info"]
        assert f"``{' '.join(rights)}``" in (ROOT / "docs" / "scaling.rst").read_text(encoding="utf-8")
        for node in cluster.nodes:
            node.command("ACL SETUSER", *documented_user(prefix, *rights))
        urls = [f"redis://web:the-password@127.0.0.1:{node.port}" for node in cluster.nodes]
        check(make, urls, CLUSTER=True, SHARDED=sharded)

    @pytest.mark.live
    def test_its_option_is_missing(self, make, cluster):
        here = make(cluster.urls[0])
        groups = iter(GROUPS)
        with pytest.raises(GroupConfigurationError, match="set the option CLUSTER"):
            consume(lambda: send(here, "hello", next(groups)), len(GROUPS))

    @pytest.mark.live
    def test_a_url_of_one_node_will_do(self, make, cluster):
        check(make, cluster.urls[0], CLUSTER=True)

    @pytest.mark.live
    def test_a_node_that_is_killed_and_comes_back(self, make, cluster, prefix):
        here, there = (make(cluster.urls, CLUSTER=True) for _ in range(2))
        recorders = {group: add(there, group)[1] for group in GROUPS}
        cluster.master_of(f"{prefix}:{{{GROUPS[0]}}}:c").restart()
        cluster.wait_until_ok()
        self.check_that_all_arrives(here, recorders)

    @pytest.mark.live
    def test_a_failover(self, make, replicated, prefix):
        here, there = (make(replicated.urls, CLUSTER=True) for _ in range(2))
        recorders = {group: add(there, group, name="ann")[1] for group in GROUPS}
        key = f"{prefix}:{{{GROUPS[0]}}}:c"
        master = replicated.master_of(key)
        master.kill()
        eventually(lambda: replicated.master_of(key) is not master)
        self.check_that_all_arrives(here, recorders)
        assert there.status().reconnects >= 1
        for group in GROUPS:
            eventually(lambda group=group: unless_away(lambda: here.names(group)), lambda names: names == {"ann"})

    def test_a_slot_that_moves_to_another_node(self, make, cluster, prefix):
        here, there = (make(cluster.urls, CLUSTER=True) for _ in range(2))
        recorders = {group: add(there, group)[1] for group in GROUPS}
        self.check_that_all_arrives(here, recorders)
        source = cluster.master_of(f"{prefix}:{{{GROUPS[0]}}}:c")
        target = next(node for node in cluster.masters if node is not source)
        slot = source.command("CLUSTER KEYSLOT", f"{prefix}:{{{GROUPS[0]}}}:c")
        before = there.status().reconnects
        move(slot, source, target, cluster)
        self.check_that_all_arrives(here, recorders)
        assert there.status().reconnects > before
        assert there.status().lost == 0

    @staticmethod
    def check_that_all_arrives(backend, recorders):
        """Check that messages to all groups arrive again after a while, in order and with all gaps announced."""
        serials = itertools.count(1)
        for group, recorder in recorders.items():

            def arrives(group=group, recorder=recorder):
                position = unless_away(lambda: send(backend, f"{next(serials)}", group, history=1000))
                if position is None:
                    return False
                deadline = time.monotonic() + 0.5
                while time.monotonic() < deadline:
                    if recorder.last and unwrap(recorder.last).id == position:
                        return True
                    time.sleep(0.01)
                return False

            eventually(arrives, timeout=40)
            check_order(recorder)


def check_order(recorder):
    last = None
    for envelope in recorder.envelopes:
        if envelope.is_gap:
            last = None if envelope.gap is None else Position.make("", envelope.gap[1])
        else:
            if last is not None:
                assert envelope.id.number == last.number + 1
            last = envelope.id


def unless_away(get):
    try:
        return get()
    except GroupUnavailable:
        return None


def move(slot, source, target, cluster):
    """Move a slot with its keys, as an operator does."""
    ids = {node: node.command("CLUSTER MYID") for node in (source, target)}
    target.command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
    source.command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
    for key in source.command("CLUSTER GETKEYSINSLOT", slot, 1000):
        source.command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
    for node in (target, source, *cluster.masters):
        node.command("CLUSTER SETSLOT", slot, "NODE", ids[target])


# Sentinels


@pytest.mark.live
def test_sentinels(make, redis_server, tmp_path):
    sentinels = RedisSentinels(tmp_path / "sentinels")
    try:
        sentinels.start()
        settings = {"SENTINELS": sentinels.addresses, "SERVICE": SERVICE, "TIMEOUT": 1}
        here, there = check(make, None, **settings)
        recorder = add(there, "after", name="ann")[1]
        sentinels.master.kill()
        eventually(lambda: unless_away(lambda: send(here, "hello", "after")), timeout=40)
        eventually(lambda: there.status().healthy, timeout=40)
        TestCluster.check_that_all_arrives(here, {"after": recorder})
        eventually(lambda: unless_away(lambda: here.names("after")), lambda names: names == {"ann"}, timeout=40)
    finally:
        sentinels.stop()
