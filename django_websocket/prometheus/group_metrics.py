"""The metrics of groups: their names and labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import Counter, Gauge

from ..groups.backends.base import GroupsStatus


class GroupMetrics:
    """The metrics of the backends of groups, in no registry and with labels: see :class:`.ConnectionMetrics`."""

    def __init__(self) -> None:
        labels = ("backend",)
        self._healthy = Gauge(
            "django_websocket_group_backend_healthy",
            "Whether the messages of other processes arrive: 0 if one process or more does not get them.",
            labels,
            registry=None,
            multiprocess_mode="livemin",
        )
        self._groups = Gauge(
            "django_websocket_groups",
            "Groups with members; one with members in several processes counts in each.",
            labels,
            registry=None,
            multiprocess_mode="livesum",
        )
        self._members = Gauge(
            "django_websocket_group_members", "Members of groups.", labels, registry=None, multiprocess_mode="livesum"
        )
        self._overflows = Counter(
            "django_websocket_group_overflows", "Members that were closed as too slow.", labels, registry=None
        )
        self._lost = Counter(
            "django_websocket_group_lost_messages", "Messages lost on their way to a process.", labels, registry=None
        )
        self._reconnects = Counter(
            "django_websocket_group_reconnects", "New connections to the server of a backend.", labels, registry=None
        )
        self.all: Final = (
            self._healthy,
            self._groups,
            self._members,
            self._overflows,
            self._lost,
            self._reconnects,
        )
        #: What was counted already, by counter and alias.
        self._counted: dict[tuple[Counter, str], int] = {}

    def forget(self) -> None:
        """Forget what was counted, in a forked child: its backends are new, and begin at 0."""
        self._counted = {}

    def update(self, states: Mapping[str, GroupsStatus]) -> None:
        """Set the gauges, and add to the counters what has come since the last call.

        States may be older than those of the call before: two threads look at the same time. Nothing of these is added.
        """
        for alias, state in states.items():
            self._healthy.labels(alias).set(state.healthy)
            self._groups.labels(alias).set(state.groups)
            self._members.labels(alias).set(state.members)
            self._advance(self._overflows, alias, state.overflows)
            self._advance(self._lost, alias, state.lost)
            self._advance(self._reconnects, alias, state.reconnects)

    def _advance(self, counter: Counter, alias: str, count: int) -> None:
        """Add to a counter what has come on top of what was counted already."""
        counted = self._counted.get((counter, alias), 0)
        counter.labels(alias).inc(max(0, count - counted))
        self._counted[counter, alias] = max(count, counted)
