"""A process in which nothing is compiled: it shows what the code in Python makes of an input.

The compiled code and its twins in Python replace each other when they are imported, so that one process has only one of
them.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import IO, Final

from django_websocket.speedups import NAMES, VARIABLE, load

from ..servers import PATIENCE, ROOT

#: Bytes of the size ahead of each input and answer.
SIZE: Final = 8


class Twin:
    """The process, for one target: it has a function ``outcome``, which returns a text for an input."""

    def __init__(self, target: str) -> None:
        """Describe the process; the first question starts it."""
        self._target = target
        self._process: subprocess.Popen[bytes] | None = None

    def outcome(self, data: bytes) -> str:
        """Return the outcome of an input in that process.

        :raises EOFError: the process has ended.
        """
        process = self._process
        if process is None:
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, self._target],
                cwd=ROOT,
                env=os.environ | {VARIABLE: "0"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            atexit.register(self.stop)
        assert process.stdin is not None
        assert process.stdout is not None
        write(process.stdin, data)
        return read(process.stdout).decode()

    def compare(self, outcome: Callable[[bytes], str], data: bytes) -> str:
        """Return the first line of the outcome of an input here, which has to be that in the process, too.

        :raises AssertionError: it is another one there.
        """
        here, there = outcome(data), self.outcome(data)
        assert here == there, f"compiled: {here}\nin Python: {there}"
        return here.partition("\n")[0]

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            atexit.unregister(self.stop)
            # It ends when its input does; what is written to a process that has ended is lost.
            with contextlib.suppress(BrokenPipeError):
                process.communicate(timeout=PATIENCE)


def write(stream: IO[bytes], data: bytes) -> None:
    """Write one input or answer."""
    stream.write(len(data).to_bytes(SIZE, "big") + data)
    stream.flush()


def read(stream: IO[bytes]) -> bytes:
    """Read one input or answer.

    :raises EOFError: there is none.
    """
    return _read(stream, int.from_bytes(_read(stream, SIZE), "big"))


def _read(stream: IO[bytes], size: int) -> bytes:
    """Read exactly ``size`` bytes: a pipe that eventlet has patched may return fewer.

    :raises EOFError: there are fewer.
    """
    data = b""
    while len(data) < size:
        if not (more := stream.read(size - len(data))):
            raise EOFError("the process without compiled code has ended")
        data += more
    return data


def main() -> None:
    """Answer every input of the standard input with its outcome, for the target that is the only argument."""
    assert not any(map(load, NAMES)), "something is compiled"
    outcome: Callable[[bytes], str] = import_module(f"{__package__}.targets.{sys.argv[1]}").outcome
    with contextlib.suppress(EOFError):
        while True:
            write(sys.stdout.buffer, outcome(read(sys.stdin.buffer)).encode())


if __name__ == "__main__":
    main()
