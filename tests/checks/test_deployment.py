from __future__ import annotations

import ast
import sys

import pytest
from django.core.checks import WARNING, Tags

from django_websocket import checks

from ..views import OURS
from .reports import DEFAULTS, ids, with_defaults

SECURITY = "django.middleware.security.SecurityMiddleware"
MIB = 1024 * 1024


def test_deployment_by_default():
    assert ids(deploy=True) == DEFAULTS
    assert [message.is_serious(WARNING) for message in checks.check_deployment()] == [False, False]


class TestDeployment:
    def test_is_security(self):
        assert checks.check_deployment.tags == (Tags.security,)

    @pytest.mark.parametrize(
        ("number", "values"),
        [
            ("W201", {"WEBSOCKET_ALLOWED_ORIGINS": ["https://example.com", "*"]}),
            ("W202", {"WEBSOCKET_MAX_MESSAGE_SIZE": None}),
            ("W202", {"WEBSOCKET_MAX_MESSAGE_SIZE": 16 * MIB + 1}),
            ("W205", {"WEBSOCKET_MAX_FRAGMENTS": None}),
            ("W206", {"WEBSOCKET_PING_INTERVAL": None}),
            ("W206", {"WEBSOCKET_PING_INTERVAL": 60}),
            ("W207", {"WEBSOCKET_PING_TIMEOUT": None}),
            ("W208", {"WEBSOCKET_COMPRESSION": True}),
            ("W208", {"WEBSOCKET_COMPRESSION": {"level": 1}}),
            ("W210", {"ALLOWED_HOSTS": ["*"]}),
            ("W210", {"ALLOWED_HOSTS": ["example.com", "*"]}),
            ("W211", {"USE_X_FORWARDED_HOST": True}),
            ("W212", {"SESSION_COOKIE_SAMESITE": "None", "CSRF_TRUSTED_ORIGINS": ["https://example.com"]}),
            ("W212", {"SESSION_COOKIE_SAMESITE": "none", "WEBSOCKET_ALLOWED_ORIGINS": ["https://example.com"]}),
            ("W213", {"SECURE_SSL_REDIRECT": True, "MIDDLEWARE": [OURS, SECURITY]}),
        ],
    )
    def test_bad(self, settings, number, values):
        for name, value in values.items():
            setattr(settings, name, value)
        assert ids(deploy=True) == with_defaults(number)
        assert ids() == []
        (message,) = (message for message in checks.check_deployment() if message.id.endswith(number))
        assert message.is_serious(WARNING)
        assert message.msg.endswith(".")
        assert message.hint

    @pytest.mark.parametrize(
        "values",
        [
            {"WEBSOCKET_ALLOWED_ORIGINS": ["https://example.com", "https://*.example.com"]},
            {"WEBSOCKET_ALLOWED_ORIGINS": []},
            {"WEBSOCKET_MAX_MESSAGE_SIZE": 16 * MIB},
            {"WEBSOCKET_MAX_FRAGMENTS": 100_000},
            {"WEBSOCKET_PING_INTERVAL": 59.9},
            {"WEBSOCKET_PING_TIMEOUT": 3600},
            {"WEBSOCKET_COMPRESSION": False},
            # Any host, but not any origin.
            {"ALLOWED_HOSTS": ["*"], "WEBSOCKET_ALLOWED_ORIGINS": ["https://example.com"]},
            {"ALLOWED_HOSTS": [".example.com"]},
            {"USE_X_FORWARDED_HOST": True, "WEBSOCKET_ALLOWED_ORIGINS": ["https://example.com"]},
            {"SESSION_COOKIE_SAMESITE": "None"},
            {
                "SESSION_COOKIE_SAMESITE": "None",
                "WEBSOCKET_ALLOWED_ORIGINS": [],
                "CSRF_TRUSTED_ORIGINS": ["https://example.com"],
            },
            {"SESSION_COOKIE_SAMESITE": "Lax", "CSRF_TRUSTED_ORIGINS": ["https://example.com"]},
            {"SESSION_COOKIE_SAMESITE": False, "CSRF_TRUSTED_ORIGINS": ["https://example.com"]},
            {"SESSION_COOKIE_SAMESITE": None, "CSRF_TRUSTED_ORIGINS": ["https://example.com"]},
            {
                "SECURE_SSL_REDIRECT": True,
                "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
                "MIDDLEWARE": [OURS, SECURITY],
            },
            {"SECURE_SSL_REDIRECT": False, "MIDDLEWARE": [OURS, SECURITY]},
            # Without SecurityMiddleware nothing redirects.
            {"SECURE_SSL_REDIRECT": True, "MIDDLEWARE": [OURS]},
        ],
    )
    def test_good(self, settings, values):
        for name, value in values.items():
            setattr(settings, name, value)
        assert ids(deploy=True) == DEFAULTS

    def test_the_value_is_named(self, settings):
        settings.WEBSOCKET_MAX_MESSAGE_SIZE = 32 * MIB
        settings.WEBSOCKET_PING_INTERVAL = 90
        messages = {message.id.partition(".")[2]: message.msg for message in checks.check_deployment()}
        assert messages["W202"].startswith("WEBSOCKET_MAX_MESSAGE_SIZE is 33554432 bytes: ")
        assert messages["W206"].startswith("WEBSOCKET_PING_INTERVAL is 90: ")

    def test_origin_required(self, settings):
        settings.WEBSOCKET_REQUIRE_ORIGIN = True
        assert ids(deploy=True) == ["I203"]

    @pytest.mark.parametrize("old", ["hixie76.Hixie76", "hixie75.Hixie75"])
    def test_old_versions(self, settings, old):
        settings.WEBSOCKET_PROTOCOLS = ["django_websocket.protocols.rfc6455.RFC6455"]
        assert ids(deploy=True) == ["I209"]
        settings.WEBSOCKET_PROTOCOLS += [f"django_websocket.protocols.{old}"]
        (message,) = (message for message in checks.check_deployment() if message.id == "django_websocket.I203")
        assert f"({old.partition('.')[2]})" in message.msg

    def test_the_hint_switches_old_versions_off(self, settings):
        (message,) = (message for message in checks.check_deployment() if message.id == "django_websocket.I203")
        name, _, value = message.hint.partition(": ")[2].partition(" = ")
        setattr(settings, name, ast.literal_eval(value))
        assert ids(deploy=True) == ["I209"]

    def test_silenced(self, settings):
        settings.SILENCED_SYSTEM_CHECKS = [f"django_websocket.{number}" for number in DEFAULTS]
        assert all(message.is_silenced() for message in checks.check_deployment())


class TestASGI:
    @pytest.fixture
    def daphne(self, monkeypatch, tmp_path):
        """Make an application of the name "daphne", whether or not daphne is installed."""
        (tmp_path / "daphne").mkdir()
        (tmp_path / "daphne" / "__init__.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "daphne", raising=False)
        yield "daphne"
        del sys.modules["daphne"]

    @pytest.mark.parametrize("application", [None, ""])
    def test_wsgi(self, settings, application):
        settings.WSGI_APPLICATION = "project.wsgi.application"
        settings.ASGI_APPLICATION = application
        assert checks.check_asgi() == []

    def test_application(self, settings):
        settings.ASGI_APPLICATION = "project.asgi.application"
        assert ids(deploy=True) == with_defaults("W204")
        assert ids() == []
        (message,) = checks.check_asgi()
        assert message.msg.startswith("ASGI_APPLICATION is set: ")

    def test_daphne(self, settings, daphne):
        """W103 says nothing of it, as it stands behind ours in INSTALLED_APPS."""
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, daphne]
        assert ids(deploy=True) == with_defaults("W204")
        (message,) = checks.check_asgi()
        assert message.msg.startswith("'daphne' is in INSTALLED_APPS: ")

    def test_both(self, settings, daphne):
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, daphne]
        settings.ASGI_APPLICATION = "project.asgi.application"
        (message,) = checks.check_asgi()
        assert message.msg.startswith("ASGI_APPLICATION is set and 'daphne' is in INSTALLED_APPS: ")

    def test_silenced(self, settings):
        settings.ASGI_APPLICATION = "project.asgi.application"
        settings.SILENCED_SYSTEM_CHECKS = ["django_websocket.W204"]
        (message,) = checks.check_asgi()
        assert message.is_silenced()
