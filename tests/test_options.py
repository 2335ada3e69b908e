"""The options of a connection: a plain value, which the layers below Django can hold."""

import dataclasses
import subprocess
import sys

import pytest

from django_websocket.conf import SETTINGS, conf
from django_websocket.options import Options

FIELDS = {field.name for field in dataclasses.fields(Options)}


def test_are_frozen():
    options = conf.options({})
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.ping_interval = 1


def test_have_no_dict():
    assert not hasattr(conf.options({}), "__dict__")


def test_are_equal_by_value():
    options = conf.options({})
    assert dataclasses.replace(options) == options
    assert dataclasses.replace(options, ping_interval=1) != options


def test_each_is_a_setting_or_given_by_the_decorator_alone():
    assert FIELDS - {setting.attribute for setting in SETTINGS} == {"subprotocols"}


def test_every_setting_that_a_view_may_override_is_one():
    per_view = {setting.attribute for setting in SETTINGS if setting.per_view}
    assert per_view == FIELDS - {"subprotocols", "handshake_timeout"}


def test_defaults_stand_in_the_settings_only():
    with_default = [field.name for field in dataclasses.fields(Options) if field.default is not dataclasses.MISSING]
    assert with_default == ["subprotocols"]


def test_importing_needs_no_django():
    code = "import sys, django_websocket.options; assert 'django' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={})
