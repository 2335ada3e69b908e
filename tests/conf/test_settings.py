"""The settings with every value that they may have and some that they may not; and what a view makes of them."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_websocket.conf import SETTINGS, Conf, Setting, check_options, conf
from django_websocket.conf.validators import MAX_SECONDS

DEFAULTS = {
    "accept_all": False,
    "allowed_origins": None,
    "require_origin": False,
    "max_message_size": 1048576,
    "max_fragments": 1024,
    "ping_interval": 20,
    "ping_timeout": 20,
    "send_timeout": 10,
    "close_timeout": 5,
    "handshake_timeout": 5,
    "max_connections": None,
    "close_on_sigterm": True,
    "db": "release",
    "revalidate": 60,
}

FLAGS = ["accept_all", "require_origin", "close_on_sigterm"]
COUNTS = ["max_message_size", "max_fragments", "max_connections"]
SECONDS = ["send_timeout", "close_timeout", "handshake_timeout"]
SECONDS_OR_NONE = ["ping_interval", "ping_timeout", "revalidate"]
OPTIONS = DEFAULTS.keys() - {
    "accept_all",
    "handshake_timeout",
    "max_connections",
    "close_on_sigterm",
    "db",
    "revalidate",
}


def product(names, values):
    return [(name, value) for name in names for value in values]


GOOD = [
    *product(["db"], ["release", "keep"]),
    *product(FLAGS, [True, False]),
    *product(COUNTS, [None, 1, 2**40]),
    *product(SECONDS, [1, 0.001, MAX_SECONDS]),
    *product(SECONDS_OR_NONE, [None, 1, 0.001, MAX_SECONDS]),
    ("allowed_origins", None),
    ("allowed_origins", ()),
    ("allowed_origins", ("*",)),
    ("allowed_origins", ("https://example.com", "https://*.example.com", "http://[::1]:8000")),
]

WRONG_TYPE = [
    *product(FLAGS, [None, 0, 1, "True", "False", []]),
    *product(COUNTS, [True, False, 1.0, "1", b"1", [1]]),
    *product(SECONDS, [None]),
    *product(["db"], [None, True, 1, ["release"]]),
    *product(SECONDS + SECONDS_OR_NONE, [True, False, "20", "20s", 1j, [20]]),
    *product(["allowed_origins"], ["*", "https://example.com", b"*", {"*"}, 1, True, [None], [b"*"], [["*"]]]),
]

WRONG_VALUE = [
    *product(["db"], ["", "Release", "close"]),
    *product(COUNTS, [0, -1]),
    *product(SECONDS + SECONDS_OR_NONE, [0, 0.0, -1, math.nan, math.inf, MAX_SECONDS + 1, 10**400]),
    *product(
        ["allowed_origins"],
        [[""], ["example.com"], ["https://example.com/"], ["null"], ["wss://example.com"], ["*", "https://*"]],
    ),
]


def set_to(settings, name, value):
    setattr(settings, f"WEBSOCKET_{name.upper()}", value)


class TestSettings:
    @pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
    def test_default(self, name, value):
        assert getattr(conf, name) == value
        assert type(getattr(conf, name)) is type(value)

    def test_every_setting_is_tested(self):
        settings = {name for name, value in vars(Conf).items() if isinstance(value, Setting)}
        assert settings == DEFAULTS.keys() | {"protocols", "compression", "groups"}
        assert settings == {setting.attribute for setting in SETTINGS}
        assert len(settings) == len(SETTINGS)
        assert {name for name, _ in GOOD} == {name for name, _ in WRONG_TYPE} == DEFAULTS.keys()
        assert {name for name, _ in WRONG_VALUE} == DEFAULTS.keys() - FLAGS

    def test_an_attribute_is_named_as_its_setting(self):
        assert [setting.name for setting in SETTINGS] == [
            f"WEBSOCKET_{setting.attribute.upper()}" for setting in SETTINGS
        ]

    @pytest.mark.parametrize(("name", "value"), GOOD)
    def test_good(self, settings, name, value):
        set_to(settings, name, value)
        assert getattr(conf, name) == value

    @pytest.mark.parametrize(("name", "value"), WRONG_TYPE + WRONG_VALUE)
    def test_bad(self, settings, name, value):
        set_to(settings, name, value)
        with pytest.raises(ImproperlyConfigured, match=rf"^WEBSOCKET_{name.upper()} (must be|has an entry) .*\.$"):
            getattr(conf, name)

    def test_the_error_names_the_setting_and_the_value(self, settings):
        settings.WEBSOCKET_PING_INTERVAL = "20s"
        with pytest.raises(
            ImproperlyConfigured, match=r"^WEBSOCKET_PING_INTERVAL must be a number of seconds or None, not '20s'\.$"
        ):
            _ = conf.ping_interval

    def test_bad_setting_leaves_the_others_alone(self, settings):
        settings.WEBSOCKET_PING_INTERVAL = "20s"
        assert conf.ping_timeout == 20

    def test_lists_become_tuples(self, settings):
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["https://example.com"]
        assert conf.allowed_origins == ("https://example.com",)

    def test_override_settings(self):
        with override_settings(WEBSOCKET_MAX_FRAGMENTS=3):
            assert conf.max_fragments == 3
            with override_settings(WEBSOCKET_MAX_FRAGMENTS=None):
                assert conf.max_fragments is None
            assert conf.max_fragments == 3
        assert conf.max_fragments == 1024

    def test_is_read_only(self):
        with pytest.raises(AttributeError):
            conf.max_fragments = 3

    def test_is_validated_once(self, monkeypatch):
        values = []
        monkeypatch.setattr(Conf.max_fragments, "validate", lambda value: values.append(value) or value)
        conf.forget(setting="WEBSOCKET_MAX_FRAGMENTS")
        assert [conf.max_fragments, conf.options({}).max_fragments] * 2 == [1024] * 4
        assert values == [1024]

    def test_is_read_again_when_a_test_changes_it(self):
        for _ in range(2):
            assert (conf.max_fragments, conf.options({}).max_fragments) == (1024, 1024)
            with override_settings(WEBSOCKET_MAX_FRAGMENTS=3):
                assert (conf.max_fragments, conf.options({}).max_fragments) == (3, 3)

    def test_a_change_while_it_is_read_is_not_lost(self, settings, monkeypatch):
        validate = Conf.max_fragments.validate

        def change(value):
            monkeypatch.setattr(Conf.max_fragments, "validate", validate)
            settings.WEBSOCKET_MAX_FRAGMENTS = 7
            return value

        monkeypatch.setattr(Conf.max_fragments, "validate", change)
        conf.forget(setting="WEBSOCKET_MAX_FRAGMENTS")
        assert (conf.max_fragments, conf.max_fragments) == (1024, 7)

    def test_importing_needs_no_settings(self):
        code = "import django_websocket.conf as c; from django.conf import settings; assert not settings.configured"
        subprocess.run([sys.executable, "-c", code], check=True, env={})


class TestOptions:
    def test_defaults_are_the_settings(self, settings):
        settings.WEBSOCKET_CLOSE_TIMEOUT = 7
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["*"]
        expected = {name: DEFAULTS[name] for name in OPTIONS}
        expected |= {"close_timeout": 7, "allowed_origins": ("*",), "subprotocols": (), "compression": None}
        expected["handshake_timeout"] = 5
        assert dataclasses.asdict(conf.options({})) == expected

    @pytest.mark.parametrize(("name", "value"), [case for case in GOOD if case[0] in OPTIONS])
    def test_an_option_of_the_view_overrides_the_setting(self, settings, name, value):
        set_to(settings, name, "not read")
        assert getattr(conf.options({name: value}), name) == value

    def test_lists_become_tuples(self):
        options = conf.options({"subprotocols": ["v2", "v1"], "allowed_origins": ["https://example.com"]})
        assert options.subprotocols == ("v2", "v1")
        assert options.allowed_origins == ("https://example.com",)

    def test_the_setting_alone_gives_the_handshake_timeout(self, settings):
        settings.WEBSOCKET_HANDSHAKE_TIMEOUT = 2
        assert conf.options({}).handshake_timeout == 2
        assert conf.options({"ping_interval": 1}).handshake_timeout == 2

    def test_are_built_once_without_options_of_a_view(self, settings):
        assert conf.options({}) is conf.options({})
        settings.WEBSOCKET_SEND_TIMEOUT = 3
        assert conf.options({}).send_timeout == 3

    def test_bad_setting(self, settings):
        settings.WEBSOCKET_SEND_TIMEOUT = None
        with pytest.raises(
            ImproperlyConfigured, match=r"^WEBSOCKET_SEND_TIMEOUT must be a number of seconds, not None"
        ):
            conf.options({})

    @pytest.mark.parametrize("check", [check_options, conf.options])
    @pytest.mark.parametrize(("name", "value"), [case for case in WRONG_TYPE if case[0] in OPTIONS])
    def test_wrong_type(self, check, name, value):
        with pytest.raises(TypeError, match=f"^{name} must be "):
            check({name: value})

    @pytest.mark.parametrize("check", [check_options, conf.options])
    @pytest.mark.parametrize(("name", "value"), [case for case in WRONG_VALUE if case[0] in OPTIONS])
    def test_wrong_value(self, check, name, value):
        with pytest.raises(ValueError, match=f"^{name} (must be|has an entry) "):
            check({name: value})

    @pytest.mark.parametrize("check", [check_options, conf.options])
    @pytest.mark.parametrize("name", ["subprotocol", "handshake_timeout", "protocols", "accept_all", "__class__"])
    def test_unknown(self, check, name):
        with pytest.raises(
            TypeError, match=f"^there is no option '{name}'; there are allowed_origins, .*subprotocols$"
        ):
            check({"ping_interval": 1, name: 1})

    def test_good_options_raise_nothing(self, settings):
        settings.WEBSOCKET_PING_INTERVAL = "not read"
        assert check_options({**dict(GOOD[-1:]), "subprotocols": ["v1"], "ping_interval": None}) is None
        assert check_options({}) is None
