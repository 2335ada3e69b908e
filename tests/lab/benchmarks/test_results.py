"""Results are saved, and shown as tables and drawings."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from lab.benchmarks import formats, plot, publish, results, table
from lab.benchmarks.results import Results
from lab.benchmarks.servers import SERVERS

from .records import RECORDS, record


@pytest.fixture
def found():
    idle = {"scenario": "idle-10", "server": "gthread", "round": 0, "pss_kb_per_conn": 41.0}
    return Results(
        "2026-01-02 03:04",
        {"processor": "a processor", "processors": 2, "system": "Linux"},
        {"Python": "CPython 3.12", "Django": "6.1"},
        {"rounds": 3, "window": 2.0, "client": "python"},
        ["pp-50x125", "pp-1x125", "idle-10"],
        "The machine was busy.",
        {"picows": "not installed: picows"},
        [*RECORDS, idle],
    )


def test_results_are_loaded_as_saved(found, tmp_path):
    found.save(tmp_path / "new" / "results.json")
    assert Results.load(tmp_path / "new" / "results.json") == found
    replace(found, records=[]).save(tmp_path / "empty.json")
    assert json.loads((tmp_path / "empty.json").read_text())["records"] == []


def test_results_begin_with_this_machine():
    begun = Results.begin(["pp-1x1"], {})
    assert begun.machine["processors"] >= 1
    assert begun.versions["Python"].startswith(("CPython 3.", "PyPy 3."))
    assert {"django-websocket", "Django", "eventlet"} <= begun.versions.keys()


@pytest.mark.parametrize(("present", "expected"), [((), "nothing"), (("frames", "core"), "frames core")])
def test_results_say_what_was_compiled(monkeypatch, present, expected):
    monkeypatch.setattr("django_websocket.speedups.load", lambda name: name if name in present else None)
    assert results.versions()["compiled"] == expected


def test_a_new_path_is_not_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    names = []
    for _ in range(3):
        path = results.new_path("2026-01-02 03:04")
        path.touch()
        names.append(path.name)
    assert names == ["2026-01-02.json", "2026-01-02-2.json", "2026-01-02-3.json"]


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "-"), (0.123, "0.123"), (41.23, "41.2"), (60e3, "60k"), (1.234e6, "1.23M")]
)
def test_amounts_have_three_digits(value, expected):
    assert formats.amount(value) == expected


def test_the_table_has_all_of_it(found):
    text = "\n".join(table.lines(found))
    assert "2 x a processor" in text
    assert (
        "\ngthread                 30k    0.75    0.25     0.75      20    0.50     100    1.00    1000   0.97!\n"
        in text
    )
    assert "1 failed" in text
    assert "\npicows           failed: it <hung> up\n" in text
    assert "KiB each" in text
    assert "\nThe machine was busy.\n" in text
    assert text.endswith("picows was skipped; not installed: picows")


def test_the_table_names_what_it_compares_with(found):
    found.records.append(record("gthread", 0, 100.0, 10.0, scenario="connect-2"))
    found.scenarios.append("connect-2")
    assert [line.split()[2:4] for line in table.lines(found) if line.startswith("server")] == [
        ["to", "raw"],
        ["to", "raw"],
        ["each", "to"],
        ["to", "least"],
    ]
    assert "to picows" in "\n".join(table.lines(found, "picows"))


def test_raw_servers_share_a_row(found):
    found.scenarios = ["pp-50x125", "pipe-2x1", "connect-2"]
    found.records += [record("raw-threads-split", 0, 7e3, 1.0, scenario="pipe-2x1")]
    least = record("django-min-threads", 0, 0, 2.0, scenario="connect-2")
    found.records += [{**least, "cycles_per_s": 5e3}]
    rows = [row.split("\n      -") for row in "\n".join(table.restructured(found)).split("\n    * - ")]
    cells = {row[0]: [cell.partition("\n")[0].strip() for cell in row[1:]] for row in rows}
    assert cells["Threads: raw sockets"] == ["| 1.00", "| 1.00", ""]
    assert cells["Threads: the least that a view of Django can do"] == ["", "", "| 1.00"]


def test_the_table_of_the_documentation(found):
    text = "\n".join(table.restructured(found))
    assert (
        "    * - Threads: **gunicorn gthread**\n      - | 0.75\n        | 30k/s, 20 µs\n      -\n      - 41 KiB" in text
    )
    assert "    * - asyncio: picows, uvloop\n      - failed\n      - | -\n        | 1/s, 1 µs" in text


@pytest.mark.parametrize("dark", [False, True])
def test_the_drawing_is_well_formed(found, dark):
    found.scenarios.append("connect-2")
    found.records.append({**record("django-min-threads", 0, 0, 2.0, scenario="connect-2"), "cycles_per_s": 5e3})
    root = ET.fromstring(plot.draw(found, dark=dark))
    texts = {element.text for element in root.iter() if element.tag.endswith("}text")}
    assert {"gunicorn gthread", "50 connections, 125 bytes", "0.75", "failed", "Threads"} <= texts
    assert "raw sockets" not in texts
    assert SERVERS["django-min-threads"].title not in texts
    assert "eventlet" not in texts


def test_publishing(found, tmp_path):
    found.save(tmp_path / "2026-01-02.json")
    paths = publish.publish([tmp_path / "2026-01-02.json"], tmp_path / "docs")
    assert [path.name for path in paths] == ["results.txt", "ratios-light.svg", "ratios-dark.svg"]
    assert publish.source(publish.ECHOES, tmp_path / "docs") == "2026-01-02.json"
    text = paths[0].read_text(encoding="utf-8")
    assert ".. note:: The machine was busy." in text
    assert "    * - Threads: **gunicorn gthread**" in text
    assert "    * - Threads: raw sockets\n" in text


def test_the_documentation_shows_the_results_it_names():
    """After a change here or a new file: ``python -m lab.benchmarks publish lab/benchmarks/results/FILE``."""
    pages = [path.name for path in publish.FOLDER.glob("*.txt")]
    rendered = publish.render({name: results.FOLDER / publish.source(name) for name in pages})
    assert {path.name: path.read_text(encoding="utf-8") for path in publish.FOLDER.iterdir()} == rendered
