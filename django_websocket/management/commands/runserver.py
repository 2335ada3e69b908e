"""``manage.py runserver``: the next app's, with a word for threads and a goodbye for WebSockets."""

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

#: Seconds that the reloader's child gets to end by itself, as it may have been asked along with its parent; and seconds
#: after it has been asked alone.
_UNASKED: Final = 0.25
_ASKED: Final = 5.0
#: What the child exits with when code has changed.
_CHANGED: Final = 3


def _next_command() -> tuple[type[DjangoCommand], str]:
    """Give the ``runserver`` that this one stands before, and whose it is."""
    names = [config.name for config in apps.get_app_configs()]
    own = __name__.partition(".")[0]
    for name in names[names.index(own) + 1 :] if own in names else ():
        path = f"{name}.management.commands.runserver"
        try:
            found = find_spec(path)
        except ModuleNotFoundError as error:
            if error.name is None or not path.startswith(error.name):
                raise
            continue  # an app without commands
        if found is not None:
            return import_module(path).Command, name
    return DjangoCommand, "django.core"


_Next, _owner = _next_command()


def _serve_in_child() -> int:
    """Serve in a child, and in a new one whenever code has changed; let it say goodbye before this process ends.

    Django does this by ``subprocess.run()``, which kills the child as soon as a signal's exception comes by: its
    WebSockets would end without a Close.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    environment = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    code = _CHANGED
    while code == _CHANGED:
        child = subprocess.Popen(autoreload.get_child_arguments(), env=environment, close_fds=False)  # noqa: S603
        try:
            code = child.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            _end(child)
    return code


def _end(child: subprocess.Popen[bytes]) -> None:
    """Wait for the end of the child; ask it to end, and kill it, when it takes too long."""
    for act, patience in ((None, _UNASKED), (child.terminate, _ASKED), (child.kill, None)):
        if act is not None:
            act()
        try:
            child.wait(patience)
            return
        except subprocess.TimeoutExpired:
            continue


class Command(_Next):  # type: ignore[misc, valid-type]
    """The next ``runserver`` of ``INSTALLED_APPS``, with WebSockets closed properly when it restarts or stops."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--multithreaded``."""
        super().add_arguments(parser)
        parser.add_argument(
            "--multithreaded",
            action="store_true",
            help="Serve each connection in a thread of its own, as WebSockets need; the default, here said aloud.",
        )

    def handle(self, *args: Any, **options: Any) -> str | None:
        """Check the options, and that the server is one with sockets."""
        if options["multithreaded"] and not options["use_threading"]:
            raise CommandError("--multithreaded and --nothreading exclude each other.")
        if not issubclass(self.server_cls, socketserver.BaseServer):
            raise CommandError(
                f"The runserver of {_owner!r} serves ASGI, where no view can use its client's socket: remove that app "
                "from INSTALLED_APPS, or put it behind another app with a runserver (django.contrib.staticfiles)."
            )
        output: str | None = super().handle(*args, **options)
        return output

    def run(self, **options: Any) -> None:
        """Serve; with the autoreloader, as the parent of the process that does."""
        if options["use_reloader"] and os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) != "true":
            sys.exit(_serve_in_child())
        super().run(**options)

    def inner_run(self, *args: Any, **options: Any) -> None:
        """Serve, in the process that is restarted when code changes."""
        if conf.close_on_sigterm:
            close_on_exit()
        super().inner_run(*args, **options)
