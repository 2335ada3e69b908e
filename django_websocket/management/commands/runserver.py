"""``manage.py runserver``: the next app's ``runserver``, plus ``--multithreaded`` and a clean close of WebSockets."""

from __future__ import annotations

import os
import signal
import socketserver
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from django.apps import apps
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands.runserver import Command as DjangoCommand
from django.utils import autoreload

from ...conf import conf
from ...process.shutdown import close_on_exit
from ..server_log import log_websockets

#: Seconds that the reloader's child may take to end by itself: a signal of the terminal has reached the child, too.
_EXIT_TIMEOUT: Final = 0.25
#: Seconds that the child may take to end after SIGTERM, before it is killed.
_TERMINATE_TIMEOUT: Final = 5.0
#: The warning at the start of a server without threads.
NOTHREADING: Final = "--nothreading: one open WebSocket keeps every other request waiting."
#: The exit status of the child when code has changed.
_CODE_CHANGED: Final = 3


def _next_command() -> tuple[type[DjangoCommand], str]:
    """Return the ``runserver`` that Django would run without this one, and the name of its app."""
    names = [config.name for config in apps.get_app_configs()]
    own = __name__.partition(".")[0]
    for name in names[names.index(own) + 1 :] if own in names else ():
        path = f"{name}.management.commands.runserver"
        try:
            found = find_spec(path)
        except ModuleNotFoundError as error:
            if error.name is None or not path.startswith(error.name):
                raise
            continue  # The app has no commands.
        if found is not None:
            return import_module(path).Command, name
    return DjangoCommand, "django.core"


_NextCommand, _next_app = _next_command()


def _serve_in_children() -> int:
    """Serve in a child process, and in a new one after each change of code; return the exit status of the last one.

    The child gets the time to close its WebSockets before this process ends. Django uses ``subprocess.run()``, which
    kills the child as soon as the handler of a signal raises an exception: its WebSockets would end without a Close.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    environment = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    code = _CODE_CHANGED
    while code == _CODE_CHANGED:
        child = subprocess.Popen(autoreload.get_child_arguments(), env=environment, close_fds=False)  # noqa: S603
        try:
            code = child.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            _stop(child)
    return code


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Wait until the child has ended; terminate it after the first timeout, and kill it after the second."""
    for act, timeout in ((None, _EXIT_TIMEOUT), (child.terminate, _TERMINATE_TIMEOUT), (child.kill, None)):
        if act is not None:
            act()
        try:
            child.wait(timeout)
            return
        except subprocess.TimeoutExpired:
            continue


class Command(_NextCommand):  # type: ignore[misc, valid-type]
    """The next ``runserver`` of ``INSTALLED_APPS``, with WebSockets closed properly when it restarts or stops."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--multithreaded``."""
        super().add_arguments(parser)
        parser.add_argument(
            "--multithreaded",
            action="store_true",
            help="Serve each connection in a thread of its own, as WebSockets need. This is the default.",
        )

    def handle(self, *args: Any, **options: Any) -> str | None:
        """Check the options and the server, then run the next ``runserver``.

        :raises CommandError: contradictory options, or a server for ASGI, which gives no view its socket.
        """
        if options["multithreaded"] and not options["use_threading"]:
            raise CommandError("--multithreaded and --nothreading exclude each other.")
        if not issubclass(self.server_cls, socketserver.BaseServer):
            raise CommandError(
                f"The runserver of {_next_app!r} serves ASGI, where no view can use its client's socket: remove that "
                "app from INSTALLED_APPS, or put it behind another app with a runserver (django.contrib.staticfiles)."
            )
        output: str | None = super().handle(*args, **options)
        return output

    def run(self, **options: Any) -> None:
        """Run the server; with the autoreloader, in a child process."""
        if options["use_reloader"] and os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) != "true":
            sys.exit(_serve_in_children())
        super().run(**options)

    def inner_run(self, *args: Any, **options: Any) -> None:
        """Run the server, in the process that is restarted when code changes."""
        if not options["use_threading"]:
            self.stderr.write(self.style.WARNING(NOTHREADING))
        if conf.close_on_sigterm:
            close_on_exit()
        log_websockets()
        super().inner_run(*args, **options)
