from __future__ import annotations

import re

import pytest
from django.core.checks import WARNING

from django_websocket import checks
from django_websocket.conf import SETTINGS

from ..views import OURS
from .reports import ids, with_defaults

COMMON = "django.middleware.common.CommonMiddleware"


def test_silent_by_default():
    assert ids() == []


class TestSettings:
    def test_every_setting_has_an_id_of_its_own(self):
        assert all(re.fullmatch(r"E0\d\d", setting.check_id) for setting in SETTINGS)
        assert len({setting.check_id for setting in SETTINGS}) == len(SETTINGS)

    def test_the_documentation_has_the_ids(self):
        rows = re.findall(r"^(E0\d\d)  ``(\w+)``", checks.__doc__, re.MULTILINE)
        assert rows == sorted((setting.check_id, setting.name) for setting in SETTINGS)

    @pytest.mark.parametrize(("name", "number"), [(setting.attribute, setting.check_id) for setting in SETTINGS])
    def test_bad_value(self, settings, name, number):
        setattr(settings, f"WEBSOCKET_{name.upper()}", "20s")
        assert ids() == [number]
        (message,) = checks.check_settings()
        assert message.msg.startswith(f"WEBSOCKET_{name.upper()} must be ")
        assert message.is_serious(WARNING)

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("allowed_origins", with_defaults("E003")),
            ("max_message_size", with_defaults("E005")),
            ("max_fragments", with_defaults("E006")),
            ("ping_interval", with_defaults("E007")),
            ("ping_timeout", with_defaults("E008")),
            ("compression", with_defaults("E014")),
            ("protocols", ["E002", "I209"]),
            ("require_origin", ["E004", "I203"]),
        ],
    )
    def test_bad_value_in_deployment(self, settings, name, expected):
        """The deployment check reads settings too; one that cannot be read is reported once."""
        setattr(settings, f"WEBSOCKET_{name.upper()}", "20s")
        assert ids(deploy=True) == expected

    def test_several_bad_values(self, settings):
        settings.WEBSOCKET_MAX_FRAGMENTS = 0
        settings.WEBSOCKET_CLOSE_TIMEOUT = None
        assert ids() == ["E006", "E010"]

    @pytest.mark.parametrize("value", [{"window_bits": 8}, {"levle": 6}, {"threshold": "1 KiB"}])
    def test_bad_option_of_compression(self, settings, value):
        settings.WEBSOCKET_COMPRESSION = value
        assert ids() == ["E014"]

    def test_origin_without_scheme(self, settings):
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["https://example.com", "example.com"]
        assert ids() == ["E003"]

    @pytest.mark.parametrize("path", ["no.such.Protocol", "django_websocket.protocols.http.Request"])
    def test_protocol_that_is_none(self, settings, path):
        settings.WEBSOCKET_PROTOCOLS = [path]
        assert ids() == ["E002"]


class TestAtomicRequests:
    @pytest.fixture
    def atomic_requests(self, settings, monkeypatch):
        monkeypatch.setitem(settings.DATABASES["default"], "ATOMIC_REQUESTS", True)

    @pytest.mark.usefixtures("atomic_requests")
    def test_with_accept_all(self, settings):
        settings.WEBSOCKET_ACCEPT_ALL = True
        assert ids() == ["E101"]
        (message,) = checks.check_atomic_requests()
        assert "ATOMIC_REQUESTS (of 'default')" in message.msg

    @pytest.mark.usefixtures("atomic_requests")
    def test_without_accept_all(self):
        assert ids() == []

    @pytest.mark.usefixtures("atomic_requests")
    def test_with_a_bad_accept_all(self, settings):
        settings.WEBSOCKET_ACCEPT_ALL = "yes"
        assert ids() == ["E001"]

    def test_accept_all_alone(self, settings):
        settings.WEBSOCKET_ACCEPT_ALL = True
        assert ids() == []


class TestMiddleware:
    @pytest.mark.parametrize("middleware", [[], [COMMON], [OURS], [OURS, COMMON], (OURS, COMMON)])
    def test_absent_or_first(self, settings, middleware):
        settings.MIDDLEWARE = middleware
        assert checks.check_middleware() == []

    @pytest.mark.parametrize("middleware", [[COMMON, OURS], (COMMON, OURS), [OURS, COMMON, OURS]])
    def test_not_first(self, settings, middleware):
        settings.MIDDLEWARE = middleware
        assert ids() == ["W102"]


class TestRunserver:
    @pytest.mark.parametrize(
        "apps",
        [
            ["django_websocket"],
            ["django_websocket", "django.contrib.staticfiles"],
            ["django.contrib.sessions", "django_websocket", "django.contrib.staticfiles"],
        ],
    )
    def test_before(self, settings, apps):
        settings.INSTALLED_APPS = apps
        assert checks.check_runserver() == []

    def test_after(self, settings):
        settings.INSTALLED_APPS = ["django.contrib.sessions", "django.contrib.staticfiles", "django_websocket"]
        (message,) = checks.check_runserver()
        assert message.id == "django_websocket.W103"
        assert message.msg.startswith("'django.contrib.staticfiles' ")
