"""The metrics of groups."""

import pytest

from django_websocket.prometheus.group_metrics import GroupMetrics

from .figures import samples, status


@pytest.fixture
def metrics():
    return GroupMetrics()


def test_gauges_are_what_they_are_now(metrics):
    metrics.update({"default": status(groups=2, members=5), "other": status(healthy=False)})
    assert samples(*metrics.all) == {
        ("django_websocket_group_backend_healthy", "default"): 1,
        ("django_websocket_groups", "default"): 2,
        ("django_websocket_group_members", "default"): 5,
    }
    metrics.update({"default": status(healthy=False), "other": status()})
    assert samples(*metrics.all) == {("django_websocket_group_backend_healthy", "other"): 1}


@pytest.mark.parametrize(
    ("field", "name"), [("overflows", "overflows"), ("lost", "lost_messages"), ("reconnects", "reconnects")]
)
def test_counters_grow_by_what_has_come(metrics, field, name):
    for count, total in [(2, 2), (2, 2), (5, 5), (4, 5), (5, 5), (6, 6)]:
        metrics.update({"default": status(**{field: count})})
        found = samples(*metrics.all)
        assert found == {
            ("django_websocket_group_backend_healthy", "default"): 1,
            (f"django_websocket_group_{name}_total", "default"): total,
        }


def test_each_backend_is_counted_by_itself(metrics):
    metrics.update({"default": status(lost=3), "other": status(lost=1)})
    metrics.update({"default": status(lost=3), "other": status(lost=2)})
    name = "django_websocket_group_lost_messages_total"
    found = samples(*metrics.all)
    assert (found[name, "default"], found[name, "other"]) == (3, 2)


def test_the_backends_of_a_forked_child_begin_at_0(metrics):
    metrics.update({"default": status(lost=3)})
    metrics.forget()
    metrics.update({"default": status(lost=1)})
    assert samples(*metrics.all)["django_websocket_group_lost_messages_total", "default"] == 4


def test_every_metric_has_labels(metrics):
    """Guards commands of ``manage.py``: a metric without labels would make prometheus_client write a file in each."""
    assert [metric for metric in metrics.all if not metric._labelnames] == []
