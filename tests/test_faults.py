"""Connections that fail at any byte: the whole conversation, or a clean end; see :mod:`tests.faults`."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from django_websocket.process.closer import closer
from django_websocket.speedups import VARIABLE

from . import faults

#: Bytes from one fault to the next of its kind; FAULTS=all has each kind at each byte, 5104 conversations in a world.
STEP = 1 if os.environ.get("FAULTS") == "all" else 5

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's errors, and its /proc")


@pytest.mark.parametrize("world", ["blocking", "nonblocking"])
def test_threads(world):
    assert not closer._closings
    assert faults.sweep(faults.WORLDS[world](), STEP) > 5000 // STEP
    assert not closer._closings


@pytest.mark.parametrize("world", ["eventlet", "gevent"])
def test_greenlets(world):
    """In a process of its own, as these libraries change theirs, and without compiled code, which meets no fault."""
    if importlib.util.find_spec(world) is None:
        pytest.skip(f"needs {world}")
    result = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.faults", world, str(STEP)],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, VARIABLE: "0"},
    )
    assert not result.returncode, result.stderr
    assert int(result.stdout) > 5000 // STEP


@pytest.mark.parametrize(
    ("got", "heard", "code"),
    [
        (faults.MESSAGES[:2], faults.SCRIPTS[0].answers, 1000),
        (faults.MESSAGES, faults.SCRIPTS[0].answers[:-1], 1000),
        (faults.MESSAGES, faults.SCRIPTS[0].answers, 1006),
        (["te", *faults.MESSAGES[1:]], faults.SCRIPTS[0].answers, 1000),
        (faults.MESSAGES, [*faults.SCRIPTS[0].answers, "more"], 1000),
    ],
)
def test_a_judge_that_is_awake(got, heard, code):
    """Guards the tests above: what is missing, wrong or too much is seen."""
    with pytest.raises(AssertionError):
        faults.judge(faults.SCRIPTS[0], faults.Fault("short", False, 1), got, heard, code)


def test_no_handshake_is_seen():
    """Guards them too."""
    client = faults.ClientProtocol(faults.URI)
    client.send_request(client.connect())
    with pytest.raises(AssertionError):
        faults.hear(client, b"HTTP/1.1 200 OK\r\n\r\n")
