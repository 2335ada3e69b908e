"""The page on the doctor: what it says of the verdicts and the checks is what the command says."""

import re
from pathlib import Path

import pytest
from django.core.management.base import BaseCommand

from django_websocket.doctor.addresses import Address
from django_websocket.doctor.origins import describe_origins
from django_websocket.doctor.reports import Report
from django_websocket.doctor.verdicts import VERDICTS
from django_websocket.management.commands.websocket_doctor import Command

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.rst").read_text(encoding="utf-8")
#: The label of each verdict, its title, its sentence, and what to change.
SECTION = re.compile(
    r"^\.\. _verdict-([\w-]+):\n\n``([\w.-]+)``\n-+\n(.+?)\n(?:\n\*\*Change:\*\* (.+?)\n)?(?=\n|\Z)",
    re.MULTILINE | re.DOTALL,
)


def plain(text):
    """Return text in one line, without the marks of code."""
    return re.sub(r"[`']", "", " ".join(text.split()))


def test_every_verdict_is_documented():
    sections = SECTION.findall(PAGE)
    assert [word for _, word, _, _ in sections] == list(VERDICTS)
    for label, word, summary, change in sections:
        verdict = VERDICTS[word]
        assert verdict.docs == f"doctor.html#verdict-{label}"
        assert (plain(summary), plain(change)) == (plain(verdict.summary), plain(verdict.change))


def test_every_option_is_documented():
    options = options_of(Command()) - options_of(BaseCommand())
    assert options
    section = PAGE.partition("\nOptions\n===")[2].partition("\nThe verdicts\n===")[0]
    assert set(re.findall(r"^(?:.*, )?``(--[a-z]+)", section, re.MULTILINE)) | {"--cookie"} == options


def options_of(command):
    """Return the options of a command."""
    parser = command.create_parser("manage.py", "websocket_doctor")
    return {option for action in parser._actions for option in action.option_strings}


def test_the_example_is_what_is_written():
    report = Report("wss://example.com/room/", verdict=VERDICTS["scheme-lost"])
    address = Address.parse("wss://example.com/room/")
    report.add("dns", "ok", "example.com is 203.0.113.7", 1.3)
    report.add("tcp", "ok", "port 443 of 203.0.113.7 answers", 11.8)
    report.add("tls", "ok", "TLSv1.3", 24.1)
    report.add("handshake", "fail", "403 (Server: nginx): the Origin is not allowed", 14.2)
    accepted = {"none": True, "own": False, "http": True}
    report.add("origins", "fail", describe_origins(accepted, address), 71.6)
    example = "\n".join(f"    {line}".rstrip() for line in report.lines())
    assert example in PAGE


@pytest.mark.parametrize(
    "check_id", ["dns", "tcp", "tls", "handshake", "host", "origins", "page", "view", "plain", "accept-key"]
)
def test_checks(check_id):
    assert re.search(rf"^``{check_id}`` +\S", PAGE, re.MULTILINE)
