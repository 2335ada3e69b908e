"""Figures of publishing are medians of the rounds, compared with a bare loop in the same server."""

from dataclasses import replace

import pytest

from lab.benchmarks import figures, publish, publishing, table
from lab.benchmarks.results import Results
from lab.benchmarks.runner import with_baselines
from lab.benchmarks.scenarios import FRESH, PUBLISHING, Scenario
from lab.benchmarks.servers import SERVERS
from lab.benchmarks.slow import percentile

from .records import RECORDS

FAN = Scenario.parse("fan-10x125")


def record(server, number, group, bare, **more):
    figures = {"group_cpu_us": group, "bare_cpu_us": bare, "server_cpu_us": group + 1, "deliveries_per_s": 1e6 / group}
    if bare is not None:
        figures |= {"group_to_bare": bare / group, "each_to_bare": bare / group / 2, "each_cpu_us": group * 2}
    return {"scenario": FAN.name, "server": server, "round": number, **figures, **more}


@pytest.fixture
def found():
    rounds = [(10.0, 8.0), (20.0, 14.0), (12.0, 9.0)]
    return Results(
        "2026-01-02 03:04",
        {"processor": "a processor", "processors": 2, "system": "Linux"},
        {"Python": "CPython 3.12"},
        {"rounds": 3, "window": 2.0, "client": "python"},
        [FAN.name, "slow-20x4000"],
        records=[
            *(record("gthread", number, *each) for number, each in enumerate(rounds)),
            record("channels-redis", 0, 200.0, None),
            {"scenario": FAN.name, "server": "channels-redis", "round": 1, "error": "it hung up"},
            {"scenario": FAN.name, "server": "websockets-asyncio", "round": 0, "error": "it hung up"},
            {"scenario": "slow-20x4000", "server": "gevent", "round": 0, "p99_to_without": 1.25, "overflows": 10},
        ],
    )


def test_the_tables_have_all_of_it(found):
    text = "\n".join(table.lines(found))
    assert "fan-10x125: 125 bytes to each of 10 members\n" in text
    gthread, channels, failed = (line.split() for line in text.splitlines()[4:7])
    assert gthread[:8] == ["gthread", "83.3k", "12", "9", "0.75", "0.70", "0.80", "0.38"]
    assert channels[:5] == ["channels-redis", "5k", "200", "-", "-"]
    assert channels[-2:] == ["1", "failed"]
    assert failed == ["websockets-asyncio", "failed:", "it", "hung", "up"]
    assert "\nslow-20x4000: 3.90625" not in text
    assert text.splitlines()[-1].split()[:9] == ["gevent", "-", "-", "-", "-", "1.25", "1.25", "1.25", "10"]


def test_the_table_of_the_documentation(found):
    text = "\n".join(publishing.restructured(found))
    assert text.startswith("125 bytes to each of 10 members:\n\n.. list-table::\n")
    assert (
        "    * - Threads: **gunicorn gthread**\n      - | 0.75\n        | 12 µs\n      - | 0.38\n        | 24 µs\n"
        "      - 13 µs" in text
    )
    assert "    * - asyncio: Channels, RedisChannelLayer, uvicorn\n      -\n      -\n      - 201 µs" in text
    assert "    * - asyncio: websockets, asyncio\n      - failed\n" in text


def test_results_replace_the_part_of_the_documentation_that_they_are_about(found, tmp_path):
    assert publish.parts(found) == {publish.FANS}
    found.scenarios = ["slow-20x4000"]
    assert publish.parts(found) == set()
    found.scenarios = ["pp-1x1", FAN.name]
    assert publish.parts(found) == {publish.ECHOES, publish.FANS}
    found.scenarios = ["idle-1000", "pp-50x125", "connect-16"]
    assert publish.parts(found) == {publish.COMPARISON}
    found.options = {"tool": "callgrind"}
    assert publish.parts(found) == {publish.COUNTS}


def test_parts_of_the_documentation_may_come_from_different_runs(found, tmp_path, monkeypatch):
    monkeypatch.setattr("lab.benchmarks.results.FOLDER", tmp_path)
    docs = tmp_path / "docs"
    found.save(tmp_path / "fan.json")
    assert [path.name for path in publish.publish([tmp_path / "fan.json"], docs)] == [publish.FANS]
    echoes = replace(found, scenarios=["pp-50x125"], records=RECORDS)
    echoes.save(tmp_path / "echoes.json")
    written = [path.name for path in publish.publish([tmp_path / "echoes.json"], docs)]
    assert written == [publish.FANS, publish.ECHOES, "ratios-light.svg", "ratios-dark.svg"]
    assert publish.source(publish.FANS, docs) == "fan.json"
    assert publish.source(publish.ECHOES, docs) == "echoes.json"
    # The drawing shows both.
    drawing = (docs / "ratios-light.svg").read_text(encoding="utf-8")
    assert "125 bytes to each of 10 members" in drawing
    assert "0.75, rounds 0.70 to 0.80" in drawing
    replace(found, options={"tool": "callgrind"}, scenarios=[], records=[]).save(tmp_path / "counts.json")
    publish.publish([tmp_path / "counts.json"], docs)
    assert publish.source(publish.COUNTS, docs) == "counts.json"
    assert publish.source(publish.FANS, docs) == "fan.json"


def test_a_summary_of_publishing(found):
    gthread, failed = figures.summarize_publishing(found.records, FAN)
    # Channels, which does not deliver in the thread that publishes, has no ratio.
    assert (gthread.server, gthread.ratio, gthread.low, gthread.high) == ("gthread", 0.75, 0.7, 0.8)
    assert gthread.amount == pytest.approx(1e6 / 12)
    assert (failed.server, failed.amount, failed.ratio, failed.failed) == ("websockets-asyncio", None, None, 1)


def test_a_server_that_publishes_is_compared_with_itself():
    chosen = [SERVERS[name] for name in ("gthread", "flask-sock-gthread", "channels-redis", "gevent")]
    assert [server.name for server in with_baselines(chosen, FAN)] == ["gthread", "channels-redis", "gevent"]
    # Channels on Redis would echo as it does without.
    echoing = with_baselines(chosen, Scenario.parse("pp-1x1"))
    assert "channels-redis" not in {server.name for server in echoing}


def test_each_mode_of_publishing_has_a_path_and_a_table():
    assert {SERVERS["gthread"].path_of(mode) for mode in PUBLISHING} == {"/fan", "/slow"}
    assert SERVERS["gthread"].path_of("pingpong") == "/echo"
    assert publishing.COLUMNS.keys() == PUBLISHING < FRESH


@pytest.mark.parametrize(("part", "expected"), [(0.5, 3.0), (0.99, 4.0), (0.0, 1.0)])
def test_percentiles(part, expected):
    assert percentile([4000, 1000, 3000, 2000], part) == expected
