"""Scenarios and servers are found by their names, and ratios are between figures of the same round."""

import pytest

from lab.benchmarks import figures, servers
from lab.benchmarks.figures import Summary
from lab.benchmarks.runner import client_cpus, present, with_baselines
from lab.benchmarks.scenarios import DEFAULT, PUBLISHING, Scenario
from lab.benchmarks.servers import SERVERS, Server, baseline

from .records import RECORDS


@pytest.mark.parametrize(
    ("name", "mode", "connections", "size", "title"),
    [
        ("pp-1x125", "pingpong", 1, 125, "1 connection, 125 bytes"),
        ("pp-50x64k", "pingpong", 50, 65536, "50 connections, 64 KiB"),
        ("pp-4x1m", "pingpong", 4, 1 << 20, "4 connections, 1024 KiB"),
        ("pipe-5x16", "pipeline", 5, 16, "5 connections, 64 x 16 bytes"),
        ("cork-5x16", "corked", 5, 16, "corked, 5 x 64 x 16 bytes"),
        ("connect-16", "connect", 16, 125, "connect and close, 16 at a time"),
        ("idle-1000", "idle", 1000, 125, "1000 idle connections"),
        ("fan-1000x125", "fan", 1000, 125, "125 bytes to each of 1000 members"),
        ("slow-20x4k", "slow", 20, 4096, "4 KiB to each of 20 members, of which some do not read"),
    ],
)
def test_a_scenario_is_its_name(name, mode, connections, size, title):
    scenario = Scenario.parse(name)
    assert scenario == Scenario(name, mode, connections, size)
    assert scenario.title == title
    # The load client sees no difference where answers are corked.
    client = {"corked": "pipeline"}.get(mode, mode)
    assert scenario.arguments[:5] == [client, "--conns", str(connections), "--size", str(size)]
    assert ("--burst" in scenario.arguments) is (client == "pipeline")


@pytest.mark.parametrize("name", ["", "pp-50", "pp-0x125", "pp-1x2m", "connect-", "ping-1x1"])
def test_a_wrong_name_of_a_scenario(name):
    with pytest.raises(ValueError, match=r"not a scenario|no connections"):
        Scenario.parse(name)


def test_every_server_has_a_raw_one_to_compare_with():
    scenarios = [one for one in map(Scenario.parse, DEFAULT) if one.mode not in PUBLISHING | {"connect"}]
    assert all(SERVERS[baseline(server, scenario)].raw for server in SERVERS.values() for scenario in scenarios)
    assert all(server.title for server in SERVERS.values())
    assert not any(SERVERS[name].raw for name in servers.DEFAULT)


@pytest.mark.parametrize("name", servers.DEFAULT)
def test_opening_a_connection_is_compared_with_the_least_view_of_django(name):
    server, scenario = SERVERS[name], Scenario.parse("connect-16")
    least = SERVERS[baseline(server, scenario)]
    assert least.name.startswith(servers.LEAST)
    assert scenario.mode in least.modes
    assert server.model in {least.model, "async"}


def test_every_server_of_ours_has_a_twin_without_the_accelerator():
    ours = [server for server in SERVERS.values() if server.ours and server.default]
    assert ours
    for server in ours:
        twin = SERVERS[server.name + servers.IN_PYTHON]
        assert (twin.arguments, twin.modes, twin.default) == (server.arguments, server.modes, False)
        assert twin.environment == (servers.PLAIN,)
        assert not server.environment


@pytest.mark.parametrize(
    ("name", "mode", "path"),
    [
        ("gthread", "pingpong", "/echo"),
        ("gthread", "corked", "/corked"),
        ("gthread", "fan", "/fan"),
        ("picows", "connect", "/echo"),
        ("raw-threads", "pingpong", ""),
        ("raw-threads-split", "corked", ""),
    ],
)
def test_each_mode_has_a_path(name, mode, path):
    assert SERVERS[name].path_of(mode) == path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pp-1x1", ["raw-threads", "gthread", "raw-gevent", "gevent", "picows"]),
        ("pipe-1x1", ["raw-threads-split", "gthread", "raw-gevent-split", "gevent", "picows"]),
        ("cork-1x1", ["raw-threads-split", "gthread", "raw-gevent-split", "gevent"]),
        ("connect-1", ["django-min-threads", "gthread", "django-min-gevent", "gevent", "picows"]),
    ],
)
def test_the_raw_servers_join(name, expected):
    chosen = [SERVERS["gthread"], SERVERS["gevent"], SERVERS["picows"]]
    assert [server.name for server in with_baselines(chosen, Scenario.parse(name))] == expected


def test_a_server_that_is_not_installed_is_skipped_once():
    said, skipped = [], {}
    absent = Server("absent", "threads", (), ("socket", "no_such_module"))
    for _ in range(2):
        assert present([absent, SERVERS["raw-threads"]], skipped, said.append) == [SERVERS["raw-threads"]]
    assert skipped == {"absent": "not installed: no_such_module"}
    assert said == ["absent is skipped; not installed: no_such_module"]


@pytest.mark.parametrize(
    ("cpus", "processes", "expected"), [({0}, 1, {0}), ({0, 1}, 1, {1}), ({2, 5, 6, 7}, 2, {5, 6})]
)
def test_the_client_has_a_processor_of_its_own_where_there_is_one(monkeypatch, cpus, processes, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: cpus)
    assert client_cpus(processes) == expected


def test_ratios_are_of_the_same_round():
    assert figures.ratios({0: 10.0, 1: 30.0, 2: 5.0, 3: None}, {0: 20.0, 1: 20.0, 3: 1.0}) == [0.5, 1.5]
    assert figures.ratios({0: 10.0}, {0: 20.0}, inverse=True) == [2.0]
    assert figures.ratios({0: 0.0}, {0: 0.0}) == []


def test_a_median_ignores_missing_values():
    assert figures.median([3.0, None, 1.0]) == 2.0
    assert figures.median([None]) is None


def test_a_summary_is_of_medians():
    raw, ours, peer, failed = figures.summarize(RECORDS, Scenario.parse("pp-50x125"))
    assert (raw.server, raw.amount, raw.ratio, raw.cpu_ratio) == ("raw-threads", 60e3, 1.0, 1.0)
    assert ours == Summary(
        "gthread",
        30e3,
        0.75,
        0.25,
        0.75,
        cpu_us=20.0,
        cpu_ratio=0.5,
        p50_us=100.0,
        p50_ratio=1.0,
        p99_us=1000.0,
        client=0.97,
    )
    assert (ours.saturated, peer.saturated) == (True, False)
    assert (peer.ratio, peer.failed, peer.error) == (0.125, 1, "it <hung> up")
    assert (failed.server, failed.amount, failed.ratio, failed.failed) == ("picows", None, None, 1)


def test_all_servers_may_be_compared_with_one():
    raw, ours, peer, _ = figures.summarize(RECORDS, Scenario.parse("pp-50x125"), "websockets-sync")
    # Only in the first round there is a figure of that server.
    assert (raw.ratio, ours.ratio, peer.ratio) == (8.0, 6.0, 1.0)
    assert (ours.cpu_ratio, ours.p50_ratio) == (2.5, 1.0)


def test_without_a_raw_server_there_is_no_ratio():
    (alone,) = figures.summarize(RECORDS, Scenario.parse("pp-1x125"))
    assert (alone.amount, alone.ratio, alone.low, alone.cpu_ratio) == (1.0, None, None, None)
