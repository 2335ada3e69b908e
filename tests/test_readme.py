"""What README.rst claims about others, and about speed."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: The servers of the comparison, by the columns of the table, as the results name them.
SERVERS = [
    ["gunicorn gthread", "gunicorn EventletWorker"],
    ["Channels, uvicorn"],
    ["flask-sock, gunicorn gthread", "flask-sock, eventlet.wsgi"],
    ["websockets, sync"],
]
#: The scenarios by the rows, as the results name them.
ROWS = {
    "echoes a second": "50 connections, 125 bytes",
    "opened and closed, 1 s": "connect and close, 16 at a time",
    "memory of an idle client": "1000 idle connections",
}


def published():
    """Return the published results: cells by the server and the scenario."""
    text = (ROOT / "docs/performance/comparison.txt").read_text(encoding="utf-8")
    head, *rows = re.split(r"\n    \* - ", text.partition("    :header-rows: 1\n\n")[2])
    scenarios = re.findall(r"\n      - (.*)", head)
    found = {}
    for row in rows:
        name, *cells = re.split(r"\n      -", row.partition("\n\n")[0])
        for scenario, cell in zip(scenarios, cells, strict=True):
            found[name.partition(": ")[2].strip("*"), scenario] = " ".join(cell.replace("|", "").split())
    return found


def claimed():
    """Return the figures of the comparison: cells by the row, a list for each server."""
    text = (ROOT / "README.rst").read_text(encoding="utf-8").partition(".. comparison")[2]
    rows = [re.split(r"  +", line.strip()) for line in text.splitlines() if line.startswith(tuple(ROWS))]
    return {row: [cell.split(", ") for cell in cells] for row, *cells in rows}


def test_the_figures_are_those_that_are_published():
    results = published()
    assert claimed().keys() == ROWS.keys()
    for row, columns in claimed().items():
        for figures, servers in zip(columns, SERVERS, strict=True):
            for figure, server in zip(figures, servers, strict=True):
                # A rate stands behind its ratio, and ahead of the time that a message takes.
                cell = results[server, ROWS[row]]
                assert figure in (cell, cell.partition("/s")[0].split()[-1]), (row, server, cell)


def test_its_pictures_are_there():
    pictures = re.findall(r"\.\. image:: (.*)", (ROOT / "README.rst").read_text(encoding="utf-8"))
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)
