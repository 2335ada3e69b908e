"""What is shown of each WebSocket."""

from datetime import timedelta

import pytest

from django_websocket.admin.rows import duration, make_rows
from django_websocket.groups.snapshot import Snapshot, Totals

from ..groups.infos import BEGINNING, make_info


class Users:
    @staticmethod
    def show(key):
        return f"user {key}"


PROCESSES = [Snapshot("0123456789ab", "web-1", 7, 1, Totals(), []), Snapshot("b" * 12, "web-2", 8, 1, Totals(), [])]


def make_row(**fields):
    (row,) = make_rows(
        [make_info(**{"since": BEGINNING, **fields})], PROCESSES, Users, BEGINNING + timedelta(seconds=65)
    )
    return row


def test_a_row():
    row = make_row(latency=0.0456, last_received=BEGINNING + timedelta(seconds=60))
    assert row[1:] == ("user 12", "web-1", 7, "RFC 6455", "1 min 5 s", "5 s", "46 ms")


def test_a_path_has_nothing_that_does_not_print():
    """Guards the page against text that runs backwards, and databases against NUL."""
    assert make_row(path="/a\0b\n\u202egpj.é/").info.path == "/a\ufffdb\ufffd\ufffdgpj.é/"


def test_what_is_not_known():
    row = make_row(user_id=None)
    assert (row.user, row.silence, row.latency) == (None, "", "")


def test_the_process_is_that_of_the_id():
    assert make_row(id=f"{'b' * 12}/3").host == "web-2"


def test_one_of_a_process_that_has_not_answered_for_itself():
    """Guards answers whose WebSockets have ids of another process."""
    row = make_row(id="c/3")
    assert (row.host, row.pid) == ("c", None)


@pytest.mark.parametrize(
    ("version", "name"), [(13, "RFC 6455"), (8, "version 8"), (7, "version 7"), (76, "hixie-76"), (75, "hixie-75")]
)
def test_protocols(version, name):
    assert make_row(version=version).protocol == name


@pytest.mark.parametrize(("latency", "text"), [(0.0, "0 ms"), (0.0004, "0 ms"), (0.25, "250 ms"), (1.25, "1.2 s")])
def test_latencies(latency, text):
    assert make_row(latency=latency).latency == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (3605, "1 h"),
        (86400 * 400 + 7200, "400 d 2 h"),
        (86400 + 61, "1 d"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
