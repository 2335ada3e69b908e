from __future__ import annotations

import dataclasses
import math
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_websocket.conf.settings import DEFAULT_PROTOCOLS, MAX_SECONDS, Conf, Setting, check_options, conf
from django_websocket.protocols import Protocol, http
from django_websocket.protocols.base import Compression

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


class OtherProtocol(Protocol):
    """Something to import."""


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
        assert settings == DEFAULTS.keys() | {"protocols", "compression"}
        assert {name for name, _ in GOOD} == {name for name, _ in WRONG_TYPE} == DEFAULTS.keys()
        assert {name for name, _ in WRONG_VALUE} == DEFAULTS.keys() - FLAGS

    @pytest.mark.parametrize(("name", "value"), GOOD)
    def test_good(self, settings, name, value):
        set_to(settings, name, value)
        assert getattr(conf, name) == value

    @pytest.mark.parametrize(("name", "value"), WRONG_TYPE + WRONG_VALUE)
    def test_bad(self, settings, name, value):
        set_to(settings, name, value)
        with pytest.raises(ImproperlyConfigured, match=rf"^WEBSOCKET_{name.upper()} (must be|has an entry) .*\.$"):
            getattr(conf, name)

    def test_what_is_wrong_is_said(self, settings):
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

    def test_is_read_anew_when_a_test_changes_it(self):
        for _ in range(2):
            assert (conf.max_fragments, conf.options({}).max_fragments) == (1024, 1024)
            with override_settings(WEBSOCKET_MAX_FRAGMENTS=3):
                assert (conf.max_fragments, conf.options({}).max_fragments) == (3, 3)

    def test_change_while_it_is_read_counts(self, settings, monkeypatch):
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


class TestProtocols:
    def test_default_is_every_version_newest_first(self):
        modules = ["rfc6455.RFC6455", "hixie76.Hixie76", "hixie75.Hixie75"]
        assert [f"django_websocket.protocols.{module}" for module in modules] == list(DEFAULT_PROTOCOLS)

    def test_default(self):
        assert [protocol.__name__ for protocol in conf.protocols] == ["RFC6455", "Hixie76", "Hixie75"]

    def test_imported_in_order(self, settings):
        settings.WEBSOCKET_PROTOCOLS = [f"{__name__}.OtherProtocol", "django_websocket.protocols.base.Protocol"]
        assert conf.protocols == (OtherProtocol, Protocol)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("tests.test_conf.OtherProtocol", "must be a list of dotted paths, not 'tests"),
            (None, "must be a list of dotted paths, not None"),
            ([OtherProtocol], "must be a list of dotted paths, not "),
            ([], "must name at least one protocol"),
            (["hixie75"], "has an entry that cannot be imported: 'hixie75' "),
            (["no.such.module"], "has an entry that cannot be imported: 'no.such.module' "),
            ([f"{__name__}.NoSuchName"], "has an entry that cannot be imported: "),
            (["django_websocket.protocols.http.Request"], "has an entry that is no subclass of django_websocket"),
            (["django_websocket.protocols.http.parse_tokens"], "has an entry that is no subclass of django_websocket"),
        ],
    )
    def test_bad(self, settings, value, message):
        settings.WEBSOCKET_PROTOCOLS = value
        with pytest.raises(ImproperlyConfigured) as caught:
            _ = conf.protocols
        assert str(caught.value).startswith(f"WEBSOCKET_PROTOCOLS {message}")


class TestCompression:
    KEYS = "level, window_bits, memory_level, threshold and context_takeover"
    DEFAULT = Compression(level=6, window_bits=12, memory_level=5, threshold=1024, context_takeover=False)

    @pytest.mark.parametrize(
        ("value", "compression"),
        [
            (False, None),
            (True, DEFAULT),
            ({}, DEFAULT),
            ({"level": 1}, dataclasses.replace(DEFAULT, level=1)),
            ({"level": 9, "window_bits": 9, "memory_level": 1, "threshold": 0}, Compression(9, 9, 1, 0)),
            (
                {"window_bits": 15, "memory_level": 9, "threshold": 2**40, "context_takeover": True},
                Compression(6, 15, 9, 2**40, True),
            ),
        ],
    )
    def test_good(self, settings, value, compression):
        settings.WEBSOCKET_COMPRESSION = value
        assert conf.compression == compression
        assert conf.options({}).compression == compression
        # A view stands over the settings, both ways.
        settings.WEBSOCKET_COMPRESSION = not value
        assert conf.options({"compression": value}).compression == compression

    def test_is_off_by_default(self):
        assert conf.compression is None

    @pytest.mark.parametrize(
        ("value", "error", "message"),
        [
            (None, TypeError, "must be True, False or a dict of options, not None"),
            (1, TypeError, "must be True, False or a dict of options, not 1"),
            ("deflate", TypeError, "must be True, False or a dict of options, not 'deflate'"),
            (["level"], TypeError, "must be True, False or a dict of options, not ['level']"),
            ({"wbits": 9}, ValueError, f"must be a dict with the keys {KEYS}, not 'wbits'"),
            ({"level": 6, 1: 9}, ValueError, f"must be a dict with the keys {KEYS}, not 1"),
            ({"level": "6"}, TypeError, "must be a dict in which 'level' is a whole number, not '6'"),
            ({"level": True}, TypeError, "must be a dict in which 'level' is a whole number, not True"),
            ({"threshold": 1.5}, TypeError, "must be a dict in which 'threshold' is a whole number, not 1.5"),
            ({"memory_level": None}, TypeError, "must be a dict in which 'memory_level' is a whole number, not None"),
            ({"level": 0}, ValueError, "must be a dict in which 'level' is at least 1 and at most 9, not 0"),
            ({"level": 10}, ValueError, "must be a dict in which 'level' is at least 1 and at most 9, not 10"),
            (
                {"memory_level": 0},
                ValueError,
                "must be a dict in which 'memory_level' is at least 1 and at most 9, not",
            ),
            ({"memory_level": 10}, ValueError, "must be a dict in which 'memory_level' is at least 1 and at most 9,"),
            ({"window_bits": 8}, ValueError, "must be a dict in which 'window_bits' is at least 9 and at most 15, not"),
            (
                {"window_bits": 16},
                ValueError,
                "must be a dict in which 'window_bits' is at least 9 and at most 15, not",
            ),
            ({"threshold": -1}, ValueError, "must be a dict in which 'threshold' is at least 0, not -1"),
            (
                {"level": 1, "context_takeover": 1},
                TypeError,
                "must be a dict in which 'context_takeover' is True or False, not 1",
            ),
        ],
    )
    def test_bad(self, settings, value, error, message):
        with pytest.raises(error) as caught:
            check_options({"compression": value})
        assert type(caught.value) is error
        assert str(caught.value).startswith(f"compression {message}")
        settings.WEBSOCKET_COMPRESSION = value
        with pytest.raises(ImproperlyConfigured) as caught:
            _ = conf.compression
        assert str(caught.value).startswith(f"WEBSOCKET_COMPRESSION {message}")


class TestOptions:
    def test_defaults_are_the_settings(self, settings):
        settings.WEBSOCKET_CLOSE_TIMEOUT = 7
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["*"]
        expected = {name: DEFAULTS[name] for name in OPTIONS}
        expected |= {"close_timeout": 7, "allowed_origins": ("*",), "subprotocols": (), "compression": None}
        assert dataclasses.asdict(conf.options({})) == expected

    @pytest.mark.parametrize(("name", "value"), [case for case in GOOD if case[0] in OPTIONS])
    def test_view_stands_over_the_settings(self, settings, name, value):
        set_to(settings, name, "not looked at")
        assert getattr(conf.options({name: value}), name) == value

    def test_lists_become_tuples(self):
        options = conf.options({"subprotocols": ["v2", "v1"], "allowed_origins": ["https://example.com"]})
        assert options.subprotocols == ("v2", "v1")
        assert options.allowed_origins == ("https://example.com",)

    def test_are_frozen(self):
        options = conf.options({})
        with pytest.raises(dataclasses.FrozenInstanceError):
            options.ping_interval = 1

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

    def test_good_are_taken_in_silence(self, settings):
        settings.WEBSOCKET_PING_INTERVAL = "not looked at"
        assert check_options({**dict(GOOD[-1:]), "subprotocols": ["v1"], "ping_interval": None}) is None
        assert check_options({}) is None


class TestSubprotocols:
    @pytest.mark.parametrize(
        "value", [[], ["chat"], ("chat.v2", "chat.v1"), ["!#$%&'*+-.^_`|~09azAZ"], [f"v{n}" for n in range(32)]]
    )
    def test_good(self, value):
        assert conf.options({"subprotocols": value}).subprotocols == tuple(value)

    @pytest.mark.parametrize("value", ["chat", b"chat", None, 1, True, {"chat"}, [b"chat"], [None], ["chat", 1]])
    def test_wrong_type(self, value):
        with pytest.raises(TypeError, match=r"^subprotocols must be a list of subprotocol names, not "):
            check_options({"subprotocols": value})

    @pytest.mark.parametrize(
        "value",
        [
            [""],
            ["chat", ""],
            [" chat"],
            ["chat "],
            ["a b"],
            ["a,b"],
            [","],
            ["a\r\nb"],
            ["chat\n"],
            ["chat/1"],
            ["b\u00fccher"],
            ["chat", "chat"],
            ["a" * (http.MAX_LIST_SIZE + 1)],
            [f"v{n}" for n in range(http.MAX_LIST_ITEMS + 1)],
        ],
    )
    def test_wrong_value(self, value):
        with pytest.raises(ValueError, match=r"^subprotocols must be different tokens") as caught:
            check_options({"subprotocols": value})
        assert type(caught.value) is ValueError
