"""What has been added to counts."""

from django_websocket.prometheus.growth import Growth

from .figures import grown


def test_it_begins_with_nothing():
    growth = Growth()
    assert grown(growth) == (0, 0, 0, 0)
    assert growth.round_trips == []
