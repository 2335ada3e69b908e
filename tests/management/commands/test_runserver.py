"""``manage.py runserver`` without the server itself, which is replaced by a list of its calls."""

import signal
import subprocess
import sys
from importlib import import_module
from io import StringIO

import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.contrib.staticfiles.management.commands.runserver import Command as StaticFilesCommand
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.core.management.commands import runserver as django_runserver
from django.core.management.commands.runserver import Command as DjangoCommand
from django.core.servers.basehttp import WSGIServer
from django.utils import autoreload

from ...views import OURS
from ..test_server_log import stop_logging

NAME = "django_websocket.management.commands.runserver"

WSGI_COMMAND = """
from django.core.management.commands.runserver import Command as DjangoCommand

class Command(DjangoCommand):
    help = "Serves with more words."

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("--words", type=int, default=1)

    def run(self, **options):
        self.stdout.write(" ".join(["word"] * options["words"]))
        return super().run(**options)
"""

ASGI_COMMAND = """
from django.core.management.commands.runserver import Command as DjangoCommand

class Server:
    '''Serves ASGI, and is no socketserver.'''

class Command(DjangoCommand):
    server_cls = Server
"""


@pytest.fixture
def command(monkeypatch):
    """Return a function that loads our command's class as a process with the present ``INSTALLED_APPS`` would."""

    def load():
        # The module finds the next command when it is imported.
        sys.modules.pop(NAME, None)
        return import_module(NAME).Command

    monkeypatch.setattr(import_module(NAME.rpartition(".")[0]), "runserver", None, raising=False)
    yield load
    sys.modules.pop(NAME, None)
    stop_logging()


@pytest.fixture
def app(tmp_path, monkeypatch):
    """Return a function that makes an app; ``text`` is the code of its ``runserver``, ``None`` if it has none."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name, text=None, *, commands=True):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").touch()
        if commands:
            for part in ("management", "commands"):
                folder /= part
                folder.mkdir()
                (folder / "__init__.py").touch()
        if text is not None:
            (folder / "runserver.py").write_text(text, encoding="utf-8")
        return name

    yield make
    for name in [name for name in sys.modules if name.startswith("tests_app_")]:
        del sys.modules[name]


@pytest.fixture
def served(monkeypatch, settings):
    """Replace the server, and return the list of the arguments that the command calls it with."""
    # Other middleware would need apps that some of these tests leave out.
    settings.MIDDLEWARE = [OURS]
    calls = []

    def run(addr, port, handler, **options):
        calls.append({"addr": addr, "port": port, "handler": handler, **options})

    monkeypatch.setattr(django_runserver, "run", run)
    return calls


@pytest.fixture
def watched(monkeypatch):
    """Return a list with an entry for each call of ``close_on_exit()`` by the command, not by the middleware."""
    calls = []
    monkeypatch.setattr("django_websocket.middleware.preparation.close_on_exit", lambda: None)
    monkeypatch.setattr("django_websocket.process.shutdown.close_on_exit", lambda: calls.append(True))
    return calls


def run(command, *args, **options):
    """Run the command in this process, and return its output."""
    stdout = StringIO()
    call_command(command(stdout=stdout, no_color=True), *args, "--noreload", stdout=stdout, **options)
    return stdout.getvalue()


# The next command


class TestNext:
    def test_found_by_django(self, command):
        """``manage.py runserver`` runs ours."""
        cls = command()
        assert get_commands()["runserver"] == "django_websocket"
        assert type(load_command_class("django_websocket", "runserver")) is cls

    def test_staticfiles(self, command):
        """As in a new project."""
        cls = command()
        assert issubclass(cls, StaticFilesCommand)
        assert cls.__mro__[1] is StaticFilesCommand
        assert cls.server_cls is WSGIServer

    @pytest.mark.parametrize(
        "installed",
        [
            ["django_websocket"],
            ["django_websocket", "django.contrib.sessions", "django.contrib.messages"],
            ["django.contrib.staticfiles", "django_websocket"],
            ["django_websocket.apps.WebSocketConfig"],
        ],
    )
    def test_djangos_own(self, command, settings, installed):
        """Ours extends Django's where no other follows it."""
        settings.INSTALLED_APPS = installed
        assert command().__mro__[1] is DjangoCommand

    def test_not_installed(self, command, settings):
        settings.INSTALLED_APPS = ["django.contrib.staticfiles"]
        assert command().__mro__[1] is DjangoCommand

    def test_another_apps(self, command, settings, app):
        settings.INSTALLED_APPS = ["django_websocket", app("tests_app_wsgi", WSGI_COMMAND)]
        assert command().__mro__[1].__module__ == "tests_app_wsgi.management.commands.runserver"

    def test_the_first_of_two(self, command, settings, app):
        other = app("tests_app_wsgi", WSGI_COMMAND)
        settings.INSTALLED_APPS = ["django_websocket", other, "django.contrib.staticfiles"]
        assert command().__mro__[1].__module__.startswith("tests_app_wsgi.")
        settings.INSTALLED_APPS = ["django_websocket", "django.contrib.staticfiles", other]
        assert command().__mro__[1] is StaticFilesCommand

    def test_one_before_ours_is_not_the_next(self, command, settings, app):
        other = app("tests_app_wsgi", WSGI_COMMAND)
        settings.INSTALLED_APPS = [other, "django_websocket", "django.contrib.staticfiles"]
        assert command().__mro__[1] is StaticFilesCommand

    def test_apps_without_commands_of_this_name_are_passed_over(self, command, settings, app):
        settings.INSTALLED_APPS = [
            "django_websocket",
            app("tests_app_bare", commands=False),
            app("tests_app_other"),
            app("tests_app_wsgi", WSGI_COMMAND),
        ]
        assert command().__mro__[1].__module__.startswith("tests_app_wsgi.")

    def test_an_error_of_the_next_one_is_raised(self, command, settings, app):
        settings.INSTALLED_APPS = [
            "django_websocket",
            app("tests_app_broken", "import there_is_no_such_module\n"),
            "django.contrib.staticfiles",
        ]
        with pytest.raises(ModuleNotFoundError, match="there_is_no_such_module"):
            command()


# Options


class TestOptions:
    def parse(self, command, *args):
        parser = command(no_color=True).create_parser("manage.py", "runserver")
        return parser.parse_args(args)

    def test_defaults(self, command):
        options = self.parse(command())
        assert options.multithreaded is False
        assert options.use_threading is True
        assert options.use_reloader is True
        assert options.use_static_handler is True

    def test_multithreaded(self, command):
        options = self.parse(command(), "--multithreaded", "0.0.0.0:8080")
        assert (options.multithreaded, options.use_threading, options.addrport) == (True, True, "0.0.0.0:8080")

    def test_those_of_the_next_command(self, command, settings, app):
        settings.INSTALLED_APPS = ["django_websocket", app("tests_app_wsgi", WSGI_COMMAND)]
        options = self.parse(command(), "--words", "3", "--multithreaded")
        assert (options.words, options.multithreaded) == (3, True)

    def test_help(self, command, settings, app):
        settings.INSTALLED_APPS = ["django_websocket", app("tests_app_wsgi", WSGI_COMMAND)]
        text = command()(no_color=True).create_parser("manage.py", "runserver").format_help()
        assert "--multithreaded" in text
        assert "Serve each connection in a thread of its own, as WebSockets need." in " ".join(text.split())
        assert "Serves with more words." in text

    @pytest.mark.parametrize("order", [1, -1])
    def test_multithreaded_without_threads(self, command, served, order):
        arguments = ["--multithreaded", "--nothreading"][::order]
        with pytest.raises(CommandError, match=r"^--multithreaded and --nothreading exclude each other\.$"):
            run(command(), *arguments)
        assert served == []


# Running


@pytest.mark.django_db
@pytest.mark.usefixtures("watched")
class TestRunning:
    def test_plain(self, command, served):
        run(command())
        (call,) = served
        assert (call["addr"], call["port"], call["threading"]) == ("127.0.0.1", 8000, True)
        assert call["server_cls"] is WSGIServer
        assert isinstance(call["handler"], WSGIHandler)

    def test_multithreaded(self, command, served):
        run(command(), "--multithreaded", "0.0.0.0:8080")
        (call,) = served
        assert (call["addr"], call["port"], call["threading"]) == ("0.0.0.0", 8080, True)

    def test_nothreading(self, command, served):
        """One connection at a time is allowed, too, with a warning at the start."""
        stderr = StringIO()
        run(command(), "--nothreading", stderr=stderr)
        assert served[0]["threading"] is False
        assert stderr.getvalue() == "--nothreading: one open WebSocket keeps every other request waiting.\n"

    @pytest.mark.parametrize("arguments", [[], ["--multithreaded"]])
    def test_no_warning_with_threads(self, command, served, arguments):
        stderr = StringIO()
        run(command(), *arguments, stderr=stderr)
        assert stderr.getvalue() == ""

    def test_static_files_are_served(self, command, served, settings):
        settings.DEBUG = True
        run(command(), "--multithreaded")
        assert isinstance(served[0]["handler"], StaticFilesHandler)

    def test_the_next_command_runs(self, command, served, settings, app):
        settings.INSTALLED_APPS = ["django_websocket", app("tests_app_wsgi", WSGI_COMMAND)]
        output = run(command(), "--multithreaded", "--words", "3")
        assert output.startswith("word word word\n")
        assert len(served) == 1

    def test_alone(self, command, served, settings):
        settings.INSTALLED_APPS = ["django_websocket"]
        run(command(), "--multithreaded")
        assert len(served) == 1

    def test_called_by_another_program(self, command, served):
        """``call_command`` supplies the defaults."""
        call_command(command()(no_color=True), use_reloader=False, stdout=StringIO())
        call_command(command()(no_color=True), use_reloader=False, multithreaded=True, stdout=StringIO())
        assert [call["threading"] for call in served] == [True, True]


class TestASGI:
    @pytest.mark.parametrize("arguments", [[], ["--multithreaded"], ["--nothreading"]])
    def test_refused(self, command, served, settings, app, arguments):
        settings.INSTALLED_APPS = [
            "django_websocket",
            app("tests_app_asgi", ASGI_COMMAND),
            "django.contrib.staticfiles",
        ]
        with pytest.raises(CommandError) as caught:
            run(command(), *arguments)
        assert str(caught.value) == (
            "The runserver of 'tests_app_asgi' serves ASGI, where no view can use its client's socket: remove that app "
            "from INSTALLED_APPS, or put it behind another app with a runserver (django.contrib.staticfiles)."
        )
        assert served == []

    @pytest.mark.django_db
    @pytest.mark.usefixtures("watched")
    def test_behind_another(self, command, served, settings, app):
        """The command follows the advice of the message."""
        settings.INSTALLED_APPS = [
            "django_websocket",
            "django.contrib.staticfiles",
            app("tests_app_asgi", ASGI_COMMAND),
        ]
        run(command())
        assert len(served) == 1


# The end of the process


@pytest.mark.django_db
class TestSignals:
    @pytest.mark.parametrize("value", [True, False])
    def test_watched_by_the_process_that_serves(self, command, served, watched, settings, value):
        settings.WEBSOCKET_CLOSE_ON_SIGTERM = value
        cls = command()
        assert watched == []
        run(cls)
        assert watched == [True] * value

    def test_not_watched_by_the_parent_of_that_process(self, command, watched, children):
        """The parent has no WebSockets."""
        children.plan = [[0]]
        assert reload(command) == 0
        assert watched == []


# The autoreloader


class Child:
    """A process whose ``wait()`` returns or raises what is planned."""

    def __init__(self, arguments, env, plan):
        self.arguments = arguments
        self.env = env
        self.plan = plan
        self.calls = []

    def wait(self, timeout=None):
        self.calls.append(("wait", timeout))
        end = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        if isinstance(end, int):
            return end
        raise end

    def terminate(self):
        self.calls.append("terminate")

    def kill(self):
        self.calls.append("kill")


class Children(list):
    """The children that were started; ``plan`` has the results of each one's waits."""

    plan: list

    def start(self, arguments, *, env, close_fds):
        assert not close_fds, "the reloader's child may inherit what its parent has"
        self.append(Child(arguments, env, self.plan[len(self)]))
        return self[-1]


@pytest.fixture
def children(monkeypatch):
    """Replace the processes that a reloader starts, and the signal handlers of this one."""
    started = Children()
    started.handlers = {}
    monkeypatch.delenv("RUN_MAIN", raising=False)
    monkeypatch.setattr(autoreload, "get_child_arguments", lambda: ["python", "manage.py", "runserver"])
    monkeypatch.setattr(subprocess, "Popen", started.start)
    monkeypatch.setattr(signal, "signal", started.handlers.__setitem__)
    return started


def reload(command):
    """Run the command with the reloader, and return its exit status."""
    with pytest.raises(SystemExit) as caught:
        call_command(command()(no_color=True), stdout=StringIO())
    return caught.value.code


TIMEOUT = subprocess.TimeoutExpired("python", 1)


class TestReloading:
    def test_a_child_serves(self, command, children, monkeypatch):
        monkeypatch.setenv("TESTS_VARIABLE", "1")
        children.plan = [[0]]
        assert reload(command) == 0
        (child,) = children
        assert child.arguments == ["python", "manage.py", "runserver"]
        assert (child.env["RUN_MAIN"], child.env["TESTS_VARIABLE"]) == ("true", "1")
        assert set(child.calls) == {("wait", None), ("wait", 0.25)}

    def test_a_new_one_when_code_has_changed(self, command, children):
        children.plan = [[3], [3], [0]]
        assert reload(command) == 0
        assert len(children) == 3

    @pytest.mark.parametrize("code", [1, 2, -9])
    def test_one_that_fails(self, command, children, code):
        children.plan = [[3], [code]]
        assert reload(command) == code
        assert len(children) == 2

    def test_control_c(self, command, children):
        """The terminal has sent the signal to the child, too, which gets the time to close its WebSockets."""
        children.plan = [[KeyboardInterrupt(), 0]]
        assert reload(command) == 0
        assert children[0].calls == [("wait", None), ("wait", 0.25)]

    def test_terminated(self, command, children):
        """The child got no signal, so that it has to be terminated."""
        children.plan = [[SystemExit(0), TIMEOUT, 0]]
        assert reload(command) == 0
        assert children[0].calls == [("wait", None), ("wait", 0.25), "terminate", ("wait", 5.0)]

    def test_a_child_that_does_not_end(self, command, children):
        children.plan = [[KeyboardInterrupt(), TIMEOUT, TIMEOUT, -9]]
        assert reload(command) == 0
        assert children[0].calls[1:] == [("wait", 0.25), "terminate", ("wait", 5.0), "kill", ("wait", None)]

    def test_sigterm_is_an_exit(self, command, children):
        children.plan = [[0]]
        reload(command)
        assert children.handlers.keys() == {signal.SIGTERM}
        with pytest.raises(SystemExit) as caught:
            children.handlers[signal.SIGTERM](signal.SIGTERM, None)
        assert caught.value.code == 0

    def test_in_the_child(self, command, children, monkeypatch):
        """In the child, Django's own reloader watches the code."""
        monkeypatch.setenv("RUN_MAIN", "true")
        calls = []
        monkeypatch.setattr(autoreload, "run_with_reloader", lambda *args, **options: calls.append((args, options)))
        cls = command()
        call_command(cls(no_color=True), stdout=StringIO())
        (((inner_run,), options),) = calls
        assert inner_run.__func__ is cls.inner_run
        assert options["use_reloader"] is True
        assert children == []

    def test_wrong_options_start_nothing(self, command, children):
        with pytest.raises(CommandError):
            call_command(command()(no_color=True), "--multithreaded", "--nothreading", stdout=StringIO())
        assert children == []
