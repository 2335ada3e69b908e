"""The metrics of WebSockets: their names, labels and buckets."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from .route_metrics import RouteMetrics

#: The upper bounds in seconds of the lives of connections: from those that fail at once to those of a day.
_DURATIONS: Final = (1, 10, 60, 300, 1800, 3600, 14400, 86400)


class ConnectionMetrics:
    """The metrics of WebSockets.

    None of them is in a registry, which would ask one before :class:`.Collector` has brought it up to date. All have
    labels: one without makes prometheus_client write a file in each process, even in the commands of ``manage.py``.
    """

    def __init__(self) -> None:
        self._connections = Gauge(
            "django_websocket_connections", "Open WebSockets.", ("route",), registry=None, multiprocess_mode="livesum"
        )
        self._handshakes = Counter(
            "django_websocket_handshakes",
            "Answers to handshakes: 101 or another HTTP status, or the close code of a rejection.",
            ("route", "status"),
            registry=None,
        )
        self._closes = Counter(
            "django_websocket_closes",
            "Ended WebSockets; the code is 1006 where there was no Close.",
            ("route", "code", "closed_by", "cause"),
            registry=None,
        )
        self._durations = Histogram(
            "django_websocket_connection_duration_seconds",
            "Time from the handshake to the end of the view.",
            ("route",),
            registry=None,
            buckets=_DURATIONS,
        )
        self._messages = Counter("django_websocket_messages", "Messages.", ("route", "direction"), registry=None)
        self._bytes = Counter(
            "django_websocket_message_bytes",
            "Bytes of messages, before compression.",
            ("route", "direction"),
            registry=None,
        )
        self._pings = Histogram(
            "django_websocket_ping_seconds", "Time from a ping to its pong.", ("route",), registry=None
        )
        self.all: Final = (
            self._connections,
            self._handshakes,
            self._closes,
            self._durations,
            self._messages,
            self._bytes,
            self._pings,
        )
        self._routes: dict[str, RouteMetrics] = {}

    def of_route(self, route: str) -> RouteMetrics:
        """Return the metrics of a route; the first call makes them, with the value 0."""
        found = self._routes.get(route)
        if found is None:
            found = self._routes[route] = RouteMetrics(
                connections=self._connections.labels(route),
                accepted=self._handshakes.labels(route, "101"),
                durations=self._durations.labels(route),
                messages_received=self._messages.labels(route, "received"),
                messages_sent=self._messages.labels(route, "sent"),
                bytes_received=self._bytes.labels(route, "received"),
                bytes_sent=self._bytes.labels(route, "sent"),
                pings=self._pings.labels(route),
            )
        return found

    def count_refusal(self, route: str, status: int) -> None:
        """Count a handshake that was answered otherwise than by a WebSocket."""
        self._handshakes.labels(route, str(int(status))).inc()

    def count_close(self, route: str, code: str, closed_by: str, cause: str) -> None:
        """Count a WebSocket that has ended."""
        self._closes.labels(route, code, closed_by, cause).inc()
