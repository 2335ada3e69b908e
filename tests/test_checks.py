from __future__ import annotations

import ast
import sys

import pytest
from django.core.checks import WARNING, Tags, run_checks

from django_websocket import checks
from django_websocket.checks.settings import _SETTING_IDS
from django_websocket.conf.settings import Conf, Setting

OURS = "django_websocket.middleware.WebSocketMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"
#: What is said of the defaults.
DEFAULTS = ["I203", "I209"]
MIB = 1024 * 1024


def ids(*, deploy=False):
    """The ids of our messages, as the ``check`` command would show them."""
    messages = run_checks(include_deployment_checks=deploy)
    return sorted(
        message.id.removeprefix("django_websocket.")
        for message in messages
        if message.id.startswith("django_websocket.")
    )


def with_defaults(*numbers):
    """Give the ids of a deployment that has nothing else to be said of."""
    return sorted([*DEFAULTS, *numbers])


def test_silent_by_default():
    assert ids() == []


def test_deployment_by_default():
    assert ids(deploy=True) == DEFAULTS
    assert [message.is_serious(WARNING) for message in checks.check_deployment()] == [False, False]


class TestSettings:
    def test_every_setting_has_an_id_of_its_own(self):
        settings = {name for name, value in vars(Conf).items() if isinstance(value, Setting)}
        assert _SETTING_IDS.keys() == settings
        assert len(set(_SETTING_IDS.values())) == len(settings)

    @pytest.mark.parametrize(("name", "number"), _SETTING_IDS.items())
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
            # Nobody redirects.
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
        """An application of that name, whether or not it is installed."""
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
        """Behind ours, its runserver is no concern of W103."""
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
