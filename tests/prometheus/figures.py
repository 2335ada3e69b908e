"""What the metrics are made of, without a connection, and what they say."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace

from django_websocket.connection.info import ConnectionInfo
from django_websocket.connection.stats import ConnectionStats
from django_websocket.groups.backends.base import GroupsStatus

ROUTE = "room/<int:id>/"


def info(member_id="a/1", counts=(0, 0, 0, 0), latency=None):
    """Return a connection; ``counts`` are messages received and sent, and bytes received and sent."""
    return ConnectionInfo(
        id=member_id,
        path="/room/7/",
        route=ROUTE,
        user_id=None,
        version=13,
        subprotocol=None,
        since=datetime(2026, 11, 28, tzinfo=timezone.utc),
        messages_received=counts[0],
        messages_sent=counts[1],
        bytes_received=counts[2],
        bytes_sent=counts[3],
        last_received=None,
        latency=latency,
        thread="MainThread",
    )


def stats(counts=(0, 0, 0, 0), duration=3.1, close_code=1000, closed_by="client", cause="normal"):
    """Return the figures of a connection that has ended."""
    return ConnectionStats(duration, *counts, close_code, closed_by, cause)


def status(healthy=True, groups=0, members=0, **counters):
    """Return the state of a backend."""
    return GroupsStatus(healthy, "" if healthy else "Redis is away", groups, members, **counters)


def a_request(route=ROUTE):
    """Return a request; ``None``: Django has found no view for it."""
    return SimpleNamespace(resolver_match=None if route is None else SimpleNamespace(route=route))


def a_websocket(member_id="a/1", latency=None):
    return SimpleNamespace(member_id=member_id, latency=latency)


def grown(growth):
    """Return what was added to counts, as in :func:`info`."""
    return growth.messages_received, growth.messages_sent, growth.bytes_received, growth.bytes_sent


def samples(*metrics):
    """Return the values of collectors, without those that are 0, by name and values of labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in metrics
        for family in metric.collect()
        for sample in family.samples
        if sample.value and not sample.name.endswith("_created")
    }
