"""Every part of a benchmark runs, too short for its figures to mean anything."""

from dataclasses import replace

import pytest

from lab.benchmarks import instructions
from lab.benchmarks.runner import Client, Plan, check, run
from lab.benchmarks.scenarios import Scenario
from lab.benchmarks.servers import SERVERS
from lab.benchmarks.table import lines
from lab.servers import find_program

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
        assert record["server"] in {"gthread", "raw-threads", "raw-threads-split", "django-min-threads"}
        if record["scenario"] == "idle-10":
            assert record["fds_per_conn"] == 1
            # With so few connections the figure may be anything.
            assert "pss_kb_per_conn" in record
        else:
            assert record["count"] > 0
            assert record["server_cpu_us"] > 0
            assert 0 < record["p50_us"] <= record["p99_us"] <= record["max_us"]
    assert "gthread" in "\n".join(lines(results))


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("gthread", {"bare", "each", "group"}),
        ("websockets-asyncio", {"bare", "each", "group"}),
        ("channels-redis", {"group"}),
    ],
)
def test_publishing(name, ways):
    server = SERVERS[name]
    if server.missing:
        pytest.skip(f"not installed: {', '.join(server.missing)}")
    plan = Plan([Scenario.parse("fan-5x125")], [server], rounds=1, window=0.1, warmup=0.01, client=Client())
    (record,) = run(plan).records
    assert "error" not in record
    assert {key.removesuffix("_last_us") for key in record if key.endswith("_last_us")} == ways
    assert all(record[f"{way}_cpu_us"] > 0 for way in ways)
    assert ("group_to_bare" in record) is ("bare" in ways)
    assert record["count"] >= 10_000


def test_members_that_do_not_read():
    scenario = Scenario.parse("slow-12x4000")
    plan = Plan([scenario], [SERVERS["gunicorn-eventlet"]], rounds=1, window=0.1, warmup=0.01, client=Client())
    (record,) = run(plan).records
    assert "error" not in record
    assert record["overflows"] == 10
    assert (record["members_left"], record["views_left"]) == (2, 0)
    assert (record["told"], record["ended"]) == (5, 5)
    # Each of them had 100 kB in the queue at most, and what the interpreter takes on the side.
    assert record["rss_kb_more"] < 8000


def test_counting_instructions(tmp_path):
    if any(find_program(name) is None for name in instructions.PROGRAMS):
        pytest.skip("valgrind is not installed")
    said = []
    results = instructions.main([SERVERS["gthread"]], [Scenario.parse("pp-2x125")], said.append, profiles=tmp_path)
    raw, ours = results.records
    assert (raw["server"], ours["server"]) == ("raw-threads", "gthread")
    # A message takes thousands of instructions, and the start of a server millions.
    assert 1000 < raw["instructions"] < 50_000
    assert 1000 < ours["instructions"] < 100_000
    assert "fn=" in (tmp_path / "pp-2x125.gthread").read_text()


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
