"""The state of the backends."""

from __future__ import annotations

from django_websocket import groups_status
from django_websocket.groups.backends import get_backend
from django_websocket.groups.backends.base import GroupsStatus

from .spy import SETTING


def test_the_backends_that_were_used(settings):
    settings.WEBSOCKET_GROUPS = {**SETTING, "other": SETTING["default"]}
    assert groups_status() == {}
    get_backend("other")
    assert groups_status() == {"other": GroupsStatus(healthy=True, problem="", groups=0, members=0)}
