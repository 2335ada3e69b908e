"""Instruments in a process that a hub has patched."""

import subprocess
import sys

import pytest

from lab.servers import ROOT
from tests.live.needs import module


def run(*arguments):
    command = [sys.executable, "-m", "lab.hubs", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("hub", ["eventlet", "gevent"])
def test_a_view_in_a_hub_is_compared_with_one_in_python(hub, tmp_path):
    """All seeds are tried, over the poller of the hub if it is compiled."""
    module(hub, hub)
    options = ("--engine", "mutation", "--seconds", "0", "--findings", str(tmp_path))
    done = run(hub, "lab.fuzzing", *options, "compiled_core")
    assert (done.returncode, done.stderr) == (0, "")
    assert ", 0 findings" in done.stdout


@pytest.mark.parametrize("hub", ["eventlet", "gevent"])
def test_the_process_is_patched_before_anything_else(hub, tmp_path):
    module(hub, hub)
    (tmp_path / "look.py").write_text("import socket, sys; print(socket.socket.__module__, sys.argv, __name__)")
    command = [sys.executable, "-m", "lab.hubs", hub, "look", "an argument"]
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    patched, _, rest = done.stdout.partition(" ")
    assert patched.startswith(hub)
    assert "'an argument'] __main__" in rest


def test_another_hub():
    assert run("twisted", "lab.fuzzing").stderr == "twisted is no hub; there are eventlet and gevent\n"
