"""The application registers its system checks, once Django is ready."""

import subprocess
import sys

from django.apps import apps
from django.core.checks.registry import registry

from django_websocket import checks
from django_websocket.apps import WebSocketConfig

CODE = """
import sys
import django
from django.conf import settings
from django.core.checks import run_checks

settings.configure(INSTALLED_APPS=["django_websocket"] * ("installed" in sys.argv), WEBSOCKET_DB="neither")
django.setup()
print([message.id for message in run_checks()])
"""


def reported(*arguments):
    """Return the ids of what the checks of a new process report, in which only the application imports them."""
    command = [sys.executable, "-c", CODE, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_is_found_by_its_name():
    config = apps.get_app_config("django_websocket")
    assert type(config) is WebSocketConfig
    assert config.verbose_name == "WebSockets"


def test_the_checks_are_registered():
    ours = {getattr(checks, name) for name in checks.__all__}
    assert ours <= set(registry.get_checks(include_deployment_checks=True))


def test_ready_registers_them():
    assert reported("installed") == "['django_websocket.E015']"
    assert reported() == "[]"
