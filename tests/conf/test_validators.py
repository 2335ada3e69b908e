"""The validators that are more than a comparison; tests/conf/test_settings.py has the values that the others take."""

from __future__ import annotations

import dataclasses

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_websocket.conf import DEFAULT_PROTOCOLS, GroupsConfig, check_options, conf
from django_websocket.protocols import Protocol, http
from django_websocket.protocols.base import Compression


class OtherProtocol(Protocol):
    """Something to import."""


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
            ("tests.conf.test_validators.OtherProtocol", "must be a list of dotted paths, not 'tests"),
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
        # An option of a view overrides the setting, whichever of the two is on.
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


class TestGroups:
    MEMORY = "django_websocket.groups.backends.memory.MemoryBackend"

    def test_the_default_is_within_the_process(self):
        assert conf.groups == {"default": GroupsConfig(self.MEMORY, None, {})}

    @pytest.mark.parametrize("location", [None, "redis://localhost", ["redis://a", "redis://b"]])
    def test_good(self, settings, location):
        entry = {"BACKEND": "no.matter", "LOCATION": location, "OPTIONS": {"A": 1}}
        settings.WEBSOCKET_GROUPS = {"default": entry, "other": {"BACKEND": self.MEMORY}}
        place = tuple(location) if isinstance(location, list) else location
        assert conf.groups == {
            "default": GroupsConfig("no.matter", place, {"A": 1}),
            "other": GroupsConfig(self.MEMORY, None, {}),
        }

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ([], "must be a dict of backends by alias, not []"),
            (None, "must be a dict of backends by alias, not None"),
            ({1: {}}, "must be a dict of backends by alias, not {1: {}}"),
            ({}, "must have an entry 'default'"),
            ({"default": MEMORY}, f"must have a dict for 'default', not {MEMORY!r}"),
            ({"default": {}}, "must have a dotted path as BACKEND of 'default', not None"),
            ({"default": {"BACKEND": MEMORY, "HOST": ""}}, "has a key for 'default' that does not exist: 'HOST'"),
            (
                {"default": {"BACKEND": MEMORY, "LOCATION": 6379}},
                "must have a URL, or a list of them, as LOCATION of 'default', not 6379",
            ),
            (
                {"default": {"BACKEND": MEMORY, "LOCATION": [1]}},
                "must be a URL, or a list of them, as LOCATION of 'default', not [1]",
            ),
            (
                {"default": {"BACKEND": MEMORY, "OPTIONS": []}},
                "must have a dict as OPTIONS of 'default', not []",
            ),
        ],
    )
    def test_bad(self, settings, value, message):
        settings.WEBSOCKET_GROUPS = value
        with pytest.raises(ImproperlyConfigured) as caught:
            _ = conf.groups
        assert str(caught.value) == f"WEBSOCKET_GROUPS {message}."
