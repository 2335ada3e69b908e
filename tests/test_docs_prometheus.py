"""The page on Prometheus is true: its table has every metric, its queries have no others, and its view works.

Its configuration of gunicorn runs in ``tests/live/test_prometheus.py``.
"""

import re
import struct
from types import SimpleNamespace

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry

from django_websocket.prometheus.collector import Collector
from django_websocket.prometheus.connection_metrics import ConnectionMetrics
from django_websocket.prometheus.group_metrics import GroupMetrics

from .test_docs import ROOT, code_blocks, run

PAGE = "docs/prometheus.rst"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def labels_by_name():
    """Return the labels of each metric, by the name that it has in Prometheus."""
    return {
        metric._name + "_total" * (metric._type == "counter"): set(metric._labelnames)
        for metric in (*ConnectionMetrics().all, *GroupMetrics().all)
    }


def test_the_table_has_every_metric_with_its_labels():
    rows = re.findall(r"^    \* - ``(\w+)``\n      - (.*)$", TEXT, re.MULTILINE)
    assert {name: set(re.findall("``(\\w+)``", labels)) for name, labels in rows} == labels_by_name()


QUERIES = [
    block.source for language in ("promql", "yaml") for block in code_blocks(PAGE, TEXT, language) if block.source
]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_the_queries_are_about_metrics_and_labels_that_exist(query):
    known = labels_by_name()
    names = re.findall(r"django_websocket_\w+", query)
    assert names
    assert set(names) <= known.keys()
    labels = set(re.findall(r"(\w+)!?=", query))
    for by in re.findall(r"by \((.*?)\)", query):
        labels |= set(by.split(", "))
    assert labels <= set().union(*(known[name] for name in names))


@pytest.fixture
def views():
    """Return the names that the blocks of the page define."""
    names = {}
    for block in code_blocks(PAGE, TEXT):
        names.update(run(block))
    return names


def test_the_application_is_installed_by_its_name(views):
    assert views["INSTALLED_APPS"] == ["django_websocket", "django_websocket.prometheus"]


def test_the_view_has_the_metrics_of_its_process(views, monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    registry = CollectorRegistry(auto_describe=True)
    registry.register(Collector())
    monkeypatch.setitem(views["metrics"].__globals__, "REGISTRY", registry)
    response = views["metrics"](None)
    assert response.headers["Content-Type"] == prometheus_client.CONTENT_TYPE_LATEST
    assert b"# TYPE django_websocket_connections gauge" in response.content


def test_the_view_has_the_metrics_of_the_files(views, monkeypatch, tmp_path):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert views["metrics"](None).content == b""


def test_a_file_that_a_killed_worker_left_empty_is_removed(views, monkeypatch, tmp_path):
    """No scrape could read it: prometheus_client makes the file of a process before it gives it its size."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (block,) = [block for block in code_blocks(PAGE, TEXT) if "def child_exit" in block.source]
    configuration = {}
    exec(block.source, configuration)
    (tmp_path / "counter_7.db").touch()
    with pytest.raises(struct.error):
        views["metrics"](None)
    (tmp_path / "counter_17.db").write_bytes(bytes(64))
    configuration["child_exit"](None, SimpleNamespace(pid=7))
    assert [path.name for path in tmp_path.iterdir()] == ["counter_17.db"]
    assert views["metrics"](None).content == b""
