"""Every part of a benchmark runs, too short for its figures to mean anything."""

from dataclasses import replace

import pytest

from lab.benchmarks.runner import Client, Plan, check, run
from lab.benchmarks.scenarios import Scenario
from lab.benchmarks.servers import SERVERS
from lab.benchmarks.table import lines

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("benchmarks")]


@pytest.fixture(autouse=True)
def _where_it_was(monkeypatch):
    """Leave the limit of open files unchanged for the tests that follow."""
    monkeypatch.setattr("lab.benchmarks.runner.raise_limits", lambda: None)


def test_a_run(tmp_path):
    saved = []
    names = ["pp-2x125", "pipe-2x125", "connect-2", "idle-10"]
    scenarios = [Scenario.parse(name) for name in names]
    client = Client(processes=2)
    plan = Plan(scenarios, [SERVERS["gthread"]], rounds=1, window=0.2, warmup=0.05, client=client)
    results = run(plan, lambda results: saved.append(len(results.records)))
    assert [record.get("error") for record in results.records] == [None] * 8
    assert {record["scenario"] for record in results.records} == set(names)
    assert saved == [2, 4, 6, 8]
    for record in results.records:
        assert record["server"] in {"gthread", "raw-threads", "raw-threads-split"}
        if record["scenario"] == "idle-10":
            assert record["fds_per_conn"] == 1
            # With so few connections the figure may be anything.
            assert "pss_kb_per_conn" in record
        else:
            assert record["count"] > 0
            assert record["server_cpu_us"] > 0
            assert 0 < record["p50_us"] <= record["p99_us"] <= record["max_us"]
    assert "gthread" in "\n".join(lines(results))


def test_a_server_that_does_not_start():
    said = []
    broken = replace(SERVERS["gthread"], arguments=("-c", "raise SystemExit('no')"))
    assert not check([broken], Client(), said.append)
    assert len(said) == 1
    assert said[0].endswith("log: no\n")


def test_a_client_that_fails():
    said = []
    assert not check([SERVERS["raw-threads"]], Client("/bin/false"), said.append)
    assert said == ["raw-threads: the client said nothing: "]
    # This server echoes at another path.
    elsewhere = replace(SERVERS["gthread"], path="/elsewhere")
    assert not check([elsewhere], Client(), said.append)
    assert "refused" in said[-1]
