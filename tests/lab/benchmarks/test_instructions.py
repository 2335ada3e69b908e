"""Instructions are counted by valgrind, and shown beside those of the raw server."""

import stat

import pytest

from lab.benchmarks import __main__, counts, instructions, table
from lab.benchmarks.instructions import Count, Counted
from lab.benchmarks.results import Results
from lab.benchmarks.scenarios import PUBLISHING, Scenario
from lab.benchmarks.servers import IN_PYTHON, SERVERS, SPLIT


def counted(server, number, scenario="pp-2x125"):
    return {"scenario": scenario, "server": server, "round": 0, "instructions": number}


@pytest.fixture
def found():
    return Results(
        "2026-01-02 03:04",
        {"processor": "a processor", "processors": 2, "system": "Linux"},
        {"Python": "CPython 3.12", "Django": "6.1"},
        {"tool": "callgrind"},
        ["pp-2x125", "pipe-1x125"],
        records=[
            counted("raw-threads", 5000.0),
            counted("gthread", 3200.4),
            counted("gevent", 9500.0),
            {"scenario": "pp-2x125", "server": "picows", "round": 0, "error": "it hung up"},
            counted("raw-threads-split", 2500.0, "pipe-1x125"),
            counted("gthread", 12514.6, "pipe-1x125"),
        ],
    )


def test_what_happens_once_for_each_batch_cancels_out():
    assert Count(few=1_000_700, many=1_002_700, messages=500).each == 4.0


@pytest.mark.parametrize(
    ("name", "messages"),
    [("pp-1x0", 1000), ("pp-50x125", 1000), ("pp-9x64k", 1000), ("pp-4x1m", 100), ("connect-1", 32)],
)
def test_a_batch_is_large_enough_and_does_not_take_too_long(name, messages):
    assert instructions._wanted(Scenario.parse(name)) == messages


def test_the_sum_in_a_file_of_callgrind():
    assert instructions.total("version: 1\nevents: Ir\nfn=(1) main\n1 totals: 5\ntotals: 12345\n") == 12345
    with pytest.raises(RuntimeError, match="no sum"):
        instructions.total("version: 1\n")


@pytest.fixture
def process(tmp_path, monkeypatch):
    """A server that counts, which is never started, and whose process has the number 7."""
    monkeypatch.setattr(Counted, "_pid", 7)
    return Counted(SERVERS["gthread-python"], tmp_path, 500)


def test_the_process_of_a_server_runs_in_callgrind(process):
    program, *arguments = process._command
    assert program.endswith("valgrind")
    assert {"--tool=callgrind", "--instr-atstart=no", "--trace-children=yes", "--max-threads=600"} <= set(arguments)
    assert arguments[-len(SERVERS["gthread"].arguments) :] == list(SERVERS["gthread"].arguments)
    assert process._environment["DJANGO_WEBSOCKET_SPEEDUPS"] == "0"
    assert process._environment["PYTHONHASHSEED"] == "0"


def test_the_last_file_counts(process, tmp_path):
    for name in ("out.7", "out.7.2", "out.7.10", "out.8.11"):
        (tmp_path / name).touch()
    assert process.profile.name == "out.7.10"


def stand_in(folder, monkeypatch, script):
    program = folder / "vgdb"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


def test_a_batch_is_counted(process, tmp_path, monkeypatch):
    monkeypatch.setattr(instructions, "SETTLING", 0)
    stand_in(tmp_path, monkeypatch, f"echo $* >> {tmp_path}/said; echo 'totals: 77' > {tmp_path}/out.7.1")
    process.begin()
    worked = []
    assert process.count(lambda: worked.append(1)) == 77
    assert worked == [1]
    said = (tmp_path / "said").read_text().splitlines()
    assert said == ["--pid=7 instrumentation on", "--pid=7 zero", "--pid=7 dump"]


def test_valgrind_does_not_obey(process, tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "echo no FIFO found >&2; exit 1")
    with pytest.raises(RuntimeError, match="does not obey 'instrumentation on': no FIFO found"):
        process.begin()


def test_valgrind_is_too_slow(process, tmp_path, monkeypatch):
    monkeypatch.setattr(instructions, "PATIENCE", 0.05)
    stand_in(tmp_path, monkeypatch, "exec sleep 10")
    with pytest.raises(RuntimeError, match="has not obeyed"):
        process.begin()


def test_without_valgrind_there_is_a_remedy(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert __main__.main(["instructions"]) == 1
    assert "apt-get install valgrind" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["idle-10", "fan-10x125"])
def test_only_messages_and_connections_are_counted(name, capsys):
    assert __main__.main(["instructions", "--scenarios", name]) == 2
    assert "instructions are counted in" in capsys.readouterr().err


def test_a_failure_is_a_record(monkeypatch, tmp_path):
    def measure(server, scenario, folder):
        if server.raw:
            raise RuntimeError("it does not start")
        (folder / "profile").write_text("totals: 1")
        return Count(100, 300, 100), folder / "profile"

    monkeypatch.setattr(instructions, "find_program", lambda name: name)
    monkeypatch.setattr(instructions, "measure", measure)
    said = []
    scenarios = [Scenario.parse("pp-2x125")]
    saved = []
    results = instructions.main(
        [SERVERS["gthread"]],
        scenarios,
        said.append,
        save=lambda results: saved.append(len(results.records)),
        profiles=tmp_path / "profiles",
    )
    assert results.counted
    assert saved == [1, 2]
    assert [(record["server"], record.get("instructions"), record.get("error")) for record in results.records] == [
        ("raw-threads", None, "it does not start"),
        ("gthread", 2.0, None),
    ]
    assert said == ["pp-2x125 raw-threads: it does not start", "pp-2x125 gthread: 2 for each message"]
    assert (tmp_path / "profiles" / "pp-2x125.gthread").read_text() == "totals: 1"


def test_all_models_are_counted_with_and_without_the_accelerator():
    assert {SERVERS[name].model for name in instructions.SERVERS_COUNTED} == {"threads", "eventlet", "gevent"}
    plain = {name.removesuffix(IN_PYTHON) for name in instructions.SERVERS_COUNTED if name.endswith(IN_PYTHON)}
    assert plain == {name for name in instructions.SERVERS_COUNTED if not name.endswith(IN_PYTHON)}
    assert not instructions.COUNTED.keys() & PUBLISHING


def test_the_table(found):
    text = "\n".join(table.lines(found))
    assert "counted by callgrind" in text
    assert "\ngthread              3200    0.64\n" in text
    assert "\ngevent               9500       -\n" in text
    assert "\npicows       failed: it hung up\n" in text
    assert "\ngthread                   12515    5.01" in text


def test_the_table_of_the_documentation(found):
    text = "\n".join(counts.restructured(found))
    assert "    * - Threads: raw sockets\n      - 5,000\n      - 2,500\n" in text
    assert "    * - Threads: **gunicorn gthread**\n      - 3,200\n      - 12,515\n" in text
    assert "    * - gevent: **gunicorn gevent**\n      - 9,500\n      -\n" in text
    assert text.endswith("    * - asyncio: picows, uvloop\n      - failed\n      -")
    assert SPLIT not in text
