"""Brings the metrics up to date: with each signal, and with each look at the open WebSockets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector as BaseCollector

from ..connection.listing import connections
from ..connection.stats import ConnectionStats
from ..groups.status import groups_status
from ..process.threads import native_rlock
from ..websocket import WebSocket
from .connection_metrics import ConnectionMetrics
from .group_metrics import GroupMetrics
from .labels import code_label, route_label
from .ledger import Ledger


class Collector(BaseCollector):
    """The metrics of this process, in one collector: whichever of them a registry asks for, all are up to date.

    A forked child counts its own. Thread-safe. The lock is native, because nothing under it switches greenlets: the
    metrics are written to memory, and in the multiprocess mode of prometheus_client to mapped files.
    """

    def __init__(self) -> None:
        self._lock = native_rlock()
        self._ledger = Ledger()
        self._connections = ConnectionMetrics()
        self._groups = GroupMetrics()

    def reset(self) -> None:
        """Begin anew, in a forked child: the open WebSockets are those of its parent."""
        self._lock = native_rlock()
        self._ledger.forget()
        self._groups.forget()

    # Receivers of the signals

    def on_accepted(self, request: HttpRequest, websocket: WebSocket, **_: Any) -> None:
        """Count a WebSocket that was accepted."""
        route = route_label(request)
        with self._lock:
            metrics = self._connections.of_route(route)
            self._ledger.open(websocket.member_id, route)
            metrics.accepted.inc()
            metrics.connections.set(self._ledger.open_by_route[route])

    def on_closed(self, websocket: WebSocket, stats: ConnectionStats, **_: Any) -> None:
        """Count a WebSocket that has ended, and what of its messages was not counted yet."""
        with self._lock:
            closed = self._ledger.close(websocket.member_id, stats, websocket.latency)
            if closed is None:
                return
            route, growth = closed
            metrics = self._connections.of_route(route)
            metrics.connections.set(self._ledger.open_by_route[route])
            metrics.add(growth)
            metrics.durations.observe(stats.duration)
            code = code_label(stats.close_code, stats.closed_by)
            self._connections.count_close(route, code, stats.closed_by, stats.cause)

    def on_refused(self, request: HttpRequest, status: int, **_: Any) -> None:
        """Count a handshake that was refused, or a WebSocket that was rejected."""
        with self._lock:
            self._connections.count_refusal(route_label(request), status)

    # Looking

    def look(self) -> None:
        """Count what the open WebSockets, and the backends of groups, have counted since the last look."""
        infos, states = connections(), groups_status()
        with self._lock:
            for route, growth in self._ledger.look(infos).items():
                self._connections.of_route(route).add(growth)
            for route, number in self._ledger.open_by_route.items():
                self._connections.of_route(route).connections.set(number)
            self._groups.update(states)

    def describe(self) -> Iterable[Metric]:
        """Return the names and types of the metrics."""
        return [description for metric in self._metrics for description in metric.describe()]

    def collect(self) -> Iterable[Metric]:
        """Return the metrics, up to date."""
        self.look()
        return [values for metric in self._metrics for values in metric.collect()]

    @property
    def _metrics(self) -> Iterable[MetricWrapperBase]:
        return (*self._connections.all, *self._groups.all)
