"""``manage.py websocket_doctor``: why a WebSocket does not work, in a word, and the one thing to change."""

from __future__ import annotations

import json
import math
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...doctor.addresses import Address
from ...doctor.examination import PROTOCOLS, Options, examine
from ...doctor.local import examine_project
from ...doctor.reports import EXIT_USAGE, Report

#: The longest time that an option may ask for, in seconds: a day.
_LONGEST: Final = 86400.0


class Command(BaseCommand):
    """Examine the project, or an address."""

    help = (
        "Says why a WebSocket does not work. Without URL it looks at this project; with one it opens a WebSocket "
        "there, through whatever stands in between. The exit status is 0 if all is well, 1 if not, 2 for a mistake "
        "in the command."
    )
    # A project whose checks fail is one to be examined.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument(
            "url", nargs="?", metavar="URL", help="address of the WebSocket, such as wss://example.com/room/"
        )
        parser.add_argument("--origin", help="Origin to send, '' for none; default: that of a page of the same host")
        parser.add_argument("--cookie", help="Cookie to send, such as 'sessionid=...'")
        parser.add_argument(
            "--header",
            action="append",
            default=[],
            type=_header,
            metavar="'NAME: VALUE'",
            help="further header field to send; may be repeated",
        )
        parser.add_argument(
            "--versions",
            type=_versions,
            default=(),
            help="versions to try, such as 13,76; the first one is looked at in full (default: all of this project)",
        )
        parser.add_argument(
            "--idle", type=_seconds(0), default=25.0, help="seconds of silence that the WebSocket has to survive (25)"
        )
        parser.add_argument("--timeout", type=_seconds(0.01), default=5.0, help="seconds for each other wait (5)")
        parser.add_argument("--send", metavar="TEXT", help="message to send, whose echo is awaited")
        parser.add_argument("--json", action="store_true", help="write JSON")
        parser.add_argument("--insecure", action="store_true", help="accept any certificate")

    def handle(self, *_: Any, **options: Any) -> None:
        """Write the report, and end with its exit status unless that is 0.

        :raises CommandError: the command is not understood.
        """
        report = self._examine(**options)
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), indent=2))
        else:
            for line in report.lines():
                self.stdout.write(line)
        if report.exit_status:
            sys.exit(report.exit_status)

    def _examine(self, url: str | None, cookie: str | None, header: list[tuple[str, str]], **options: Any) -> Report:
        if url is None:
            return examine_project()
        headers = dict(header)
        if cookie is not None:
            headers["cookie"] = cookie
        try:
            return examine(
                Address.parse(url),
                Options(
                    origin=options["origin"],
                    headers=headers,
                    versions=options["versions"],
                    idle=options["idle"],
                    timeout=options["timeout"],
                    message=options["send"],
                    insecure=options["insecure"],
                ),
            )
        except ValueError as error:
            raise CommandError(str(error), returncode=EXIT_USAGE) from error


def _header(text: str) -> tuple[str, str]:
    """Return name and value of a header field."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ArgumentTypeError(f"not of the form 'Name: value': {text!r}")
    return name.strip().lower(), value.strip()


def _versions(text: str) -> tuple[int, ...]:
    """Return the versions in a list of numbers."""
    known = ", ".join(map(str, PROTOCOLS))
    numbers = [int(item) if item.strip().isdecimal() and len(item) < 10 else 0 for item in text.split(",")]
    if not all(number in PROTOCOLS for number in numbers):
        raise ArgumentTypeError(f"not a list of versions among {known}: {text!r}")
    return tuple(dict.fromkeys(numbers))


def _seconds(least: float) -> Callable[[str], float]:
    """Return a function that returns the seconds that a text says."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= _LONGEST:
            raise ArgumentTypeError(f"not a number of seconds from {least:g} to {_LONGEST:g}: {text!r}")
        return value

    return parse
