from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from django.core.checks import Tags, run_checks

from django_websocket import checks
from django_websocket.conf import Conf, Setting

OURS = "django_websocket.middleware.WebSocketMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"


def ids(*, deploy=False):
    """The ids of our messages, as the ``check`` command would show them."""
    messages = run_checks(include_deployment_checks=deploy)
    return sorted(
        message.id.removeprefix("django_websocket.")
        for message in messages
        if message.id.startswith("django_websocket.")
    )


def test_silent_by_default():
    assert ids() == []


def test_deployment_by_default():
    assert ids(deploy=True) == ["I203"]


def test_the_table_is_complete():
    documented = set(re.findall(r"^[EWI]\d{3}", checks.__doc__, re.MULTILINE))
    code = Path(checks.__file__).read_text(encoding="utf-8").removeprefix(f'"""{checks.__doc__}"""')
    assert documented == set(re.findall(r"\b[EWI]\d{3}\b", code))


class TestSettings:
    def test_every_setting_has_an_id_of_its_own(self):
        settings = {name for name, value in vars(Conf).items() if isinstance(value, Setting)}
        assert checks._SETTING_IDS.keys() == settings
        assert len(set(checks._SETTING_IDS.values())) == len(settings)

    @pytest.mark.parametrize(("name", "number"), checks._SETTING_IDS.items())
    def test_bad_value(self, settings, name, number):
        setattr(settings, f"WEBSOCKET_{name.upper()}", "20s")
        assert ids() == [number]
        (message,) = checks.check_settings()
        assert message.msg.startswith(f"WEBSOCKET_{name.upper()} must be ")
        assert message.is_serious()

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("allowed_origins", ["E003", "I203"]),
            ("max_message_size", ["E005", "I203"]),
            ("protocols", ["E002"]),
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

    def test_every_origin(self, settings):
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["https://example.com", "*"]
        assert ids(deploy=True) == ["I203", "W201"]
        assert ids() == []

    def test_some_origins(self, settings):
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["https://example.com", "https://*.example.com"]
        assert ids(deploy=True) == ["I203"]

    def test_messages_of_any_size(self, settings):
        settings.WEBSOCKET_MAX_MESSAGE_SIZE = None
        assert ids(deploy=True) == ["I203", "W202"]
        assert ids() == []

    @pytest.mark.parametrize("old", ["hixie76.Hixie76", "hixie75.Hixie75"])
    def test_old_versions(self, settings, old):
        settings.WEBSOCKET_PROTOCOLS = ["django_websocket.protocols.rfc6455.RFC6455"]
        assert ids(deploy=True) == []
        settings.WEBSOCKET_PROTOCOLS += [f"django_websocket.protocols.{old}"]
        (message,) = checks.check_deployment()
        assert message.id == "django_websocket.I203"
        assert f"({old.partition('.')[2]})" in message.msg
        assert not message.is_serious()


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
        assert ids(deploy=True) == ["I203", "W204"]
        assert ids() == []
        (message,) = checks.check_asgi()
        assert message.msg.startswith("ASGI_APPLICATION is set: ")

    def test_daphne(self, settings, daphne):
        """Behind ours, its runserver is no concern of W103."""
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, daphne]
        assert ids(deploy=True) == ["I203", "W204"]
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
