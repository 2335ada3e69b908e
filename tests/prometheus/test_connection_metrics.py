"""The metrics of WebSockets."""

import pytest

from django_websocket.prometheus.connection_metrics import ConnectionMetrics

from .figures import ROUTE, samples


@pytest.fixture
def metrics():
    return ConnectionMetrics()


def test_the_metrics_of_a_route_begin_at_0(metrics):
    """Guards ``rate()``, which does not see a counter that begins at 1."""
    metrics.of_route(ROUTE)
    names = {sample.name for metric in metrics.all for family in metric.collect() for sample in family.samples}
    assert {
        "django_websocket_connections",
        "django_websocket_handshakes_total",
        "django_websocket_connection_duration_seconds_bucket",
        "django_websocket_messages_total",
        "django_websocket_message_bytes_total",
        "django_websocket_ping_seconds_bucket",
    } <= names
    assert samples(*metrics.all) == {}


def test_the_metrics_of_a_route_are_looked_up_once(metrics):
    assert metrics.of_route(ROUTE) is metrics.of_route(ROUTE)


def test_refusals(metrics):
    for status in (403, 403, 4401):
        metrics.count_refusal("unknown", status)
    assert samples(*metrics.all) == {
        ("django_websocket_handshakes_total", "unknown", "403"): 2,
        ("django_websocket_handshakes_total", "unknown", "4401"): 1,
    }


def test_closes(metrics):
    metrics.count_close(ROUTE, "1006", "network", "ping_timeout")
    assert samples(*metrics.all) == {
        ("django_websocket_closes_total", ROUTE, "1006", "network", "ping_timeout"): 1,
    }


def test_the_buckets_reach_from_a_second_to_a_day(metrics):
    for seconds in (0.5, 5, 86400):
        metrics.of_route(ROUTE).durations.observe(seconds)
    name = "django_websocket_connection_duration_seconds_bucket"
    buckets = {key[-1]: value for key, value in samples(*metrics.all).items() if key[0] == name}
    steps = dict.fromkeys(("10.0", "60.0", "300.0", "1800.0", "3600.0", "14400.0"), 2)
    assert buckets == {"1.0": 1, **steps, "86400.0": 3, "+Inf": 3}


def test_every_metric_has_labels(metrics):
    """Guards commands of ``manage.py``: a metric without labels would make prometheus_client write a file in each."""
    assert [metric for metric in metrics.all if not metric._labelnames] == []
