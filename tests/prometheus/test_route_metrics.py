"""The metrics of one route."""

from django_websocket.prometheus.connection_metrics import ConnectionMetrics
from django_websocket.prometheus.growth import Growth

from .figures import ROUTE, samples


def test_what_has_come_is_added():
    metrics = ConnectionMetrics()
    growth = Growth()
    growth.messages_received, growth.messages_sent, growth.bytes_received, growth.bytes_sent = 1, 2, 30, 40
    growth.round_trips += [0.25, 0.25]
    for _ in range(2):
        metrics.of_route(ROUTE).add(growth)
    found = samples(*metrics.all)
    assert found["django_websocket_messages_total", ROUTE, "received"] == 2
    assert found["django_websocket_messages_total", ROUTE, "sent"] == 4
    assert found["django_websocket_message_bytes_total", ROUTE, "received"] == 60
    assert found["django_websocket_message_bytes_total", ROUTE, "sent"] == 80
    assert found["django_websocket_ping_seconds_count", ROUTE] == 4
    assert found["django_websocket_ping_seconds_sum", ROUTE] == 1


def test_nothing_to_add():
    metrics = ConnectionMetrics()
    metrics.of_route(ROUTE).add(Growth())
    assert samples(*metrics.all) == {}


def test_bytes_that_are_counted_later_than_their_message():
    """Guards a look that comes between the two."""
    metrics = ConnectionMetrics()
    growth = Growth()
    growth.bytes_received, growth.bytes_sent = 30, 40
    metrics.of_route(ROUTE).add(growth)
    assert samples(*metrics.all) == {
        ("django_websocket_message_bytes_total", ROUTE, "received"): 30,
        ("django_websocket_message_bytes_total", ROUTE, "sent"): 40,
    }
