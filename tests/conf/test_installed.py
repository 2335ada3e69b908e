"""The warning of a process whose project has the package, but not its application."""

import subprocess
import sys

import pytest
from django.apps import apps

from django_websocket import accept_websocket
from django_websocket.conf import installed
from django_websocket.conf.installed import warn_unless_installed
from django_websocket.middleware import WebSocketMiddleware

from ..observing import records

TEXT = (
    "'django_websocket' is not in INSTALLED_APPS: 'manage.py check' does not look at its settings, and 'manage.py "
    "runserver' neither knows --multithreaded nor closes WebSockets when it ends; put it before every app that has a "
    "runserver of its own"
)

#: A project of one file, whose view or middleware is ours.
MANAGE = """
import sys
import types
from django.conf import settings
from django.core.management import execute_from_command_line

apps, kind, *arguments = sys.argv[1:]
views = types.ModuleType("project_urls")
views.urlpatterns = []
settings.configure(
    INSTALLED_APPS=apps.split(","),
    ROOT_URLCONF="project_urls",
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django_websocket.middleware.WebSocketMiddleware"] * (kind == "middleware"),
)

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "project_urls":
            from importlib.machinery import ModuleSpec
            return ModuleSpec(name, Loader())

class Loader:
    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        module.urlpatterns = []
        if kind == "decorator":
            from django.urls import path
            from django_websocket import accept_websocket
            module.urlpatterns.append(path("", accept_websocket(lambda request: None)))

sys.meta_path.append(Finder)
if arguments == ["serve"]:
    from django.core.wsgi import get_wsgi_application
    get_wsgi_application()
else:
    execute_from_command_line(["manage.py", *arguments])
"""


@pytest.fixture(autouse=True)
def forget():
    """Make each test the first of its process."""
    installed._warn_unless_installed.cache_clear()
    yield
    installed._warn_unless_installed.cache_clear()


def manage(*arguments):
    """Run a command of such a project; return what it writes to its standard error."""
    command = [sys.executable, "-c", MANAGE, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def test_check_says_it_where_a_view_is_decorated():
    assert manage("django.contrib.sessions", "decorator", "check").count(TEXT) == 1


def test_a_server_says_it_where_the_middleware_is_installed():
    assert manage("django.contrib.sessions", "middleware", "serve").count(TEXT) == 1


@pytest.mark.parametrize("arguments", [("decorator", "check"), ("middleware", "serve")])
def test_nothing_is_said_where_it_is_installed(arguments):
    assert TEXT not in manage("django_websocket,django.contrib.sessions", *arguments)


@pytest.mark.parametrize(
    "use",
    [
        lambda: accept_websocket(lambda _: None),
        lambda: accept_websocket(subprotocols=["chat"]),
        lambda: WebSocketMiddleware(lambda _: None),
        warn_unless_installed,
    ],
)
def test_once_in_a_process(settings, caplog, use):
    settings.INSTALLED_APPS = ["django.contrib.sessions"]
    use()
    use()
    assert [record.getMessage() for record in records(caplog, "django_websocket")] == [TEXT]


def test_the_setting_is_not_read_before_django_has_read_it(settings, monkeypatch, caplog):
    settings.INSTALLED_APPS = ["django.contrib.sessions"]
    monkeypatch.setattr(apps, "apps_ready", False)
    warn_unless_installed()
    assert caplog.records == []
    monkeypatch.undo()
    settings.INSTALLED_APPS = ["django.contrib.sessions"]
    warn_unless_installed()
    assert len(caplog.records) == 1
