"""The backends by their aliases."""

from __future__ import annotations

import os

import pytest

from django_websocket.exceptions import GroupConfigurationError
from django_websocket.groups.backends import get_backend, known_backends
from django_websocket.groups.backends.memory import MemoryBackend

from ..spy import SETTING, SpyBackend


def test_one_for_each_alias(settings):
    settings.WEBSOCKET_GROUPS = {**SETTING, "other": SETTING["default"]}
    assert known_backends() == []
    assert type(get_backend("default")) is SpyBackend
    assert get_backend("default") is get_backend("default")
    assert get_backend("other").alias == "other"
    assert known_backends() == [get_backend("default"), get_backend("other")]


def test_another_setting(settings):
    before = get_backend("default")
    assert type(before) is MemoryBackend
    settings.WEBSOCKET_GROUPS = SETTING
    assert get_backend("default") is not before


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({}, "WEBSOCKET_GROUPS has no entry 'other'"),
        (
            {"other": {"BACKEND": "a.b"}},
            "WEBSOCKET_GROUPS has a BACKEND that cannot be imported: 'a.b' .*'other'",
        ),
        ({"other": {**SETTING["default"], "OPTIONS": {"ON_ERROR": 1}}}, "WEBSOCKET_GROUPS ON_ERROR must be .*'other'"),
    ],
)
def test_an_entry_that_is_not_right(settings, setting, message):
    settings.WEBSOCKET_GROUPS = {**SETTING, **setting}
    with pytest.raises(GroupConfigurationError, match=message):
        get_backend("other")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork()")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Using fork\\(\\) is a bad idea:DeprecationWarning")
def test_a_forked_child_makes_its_own():
    before = get_backend("default")
    child = os.fork()
    if not child:
        os._exit(known_backends() != [] or get_backend("default") is before)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert get_backend("default") is before
