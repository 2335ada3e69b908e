"""Fuzzing guided by coverage, with atheris. libFuzzer exits its process, so each target has a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ..servers import ROOT
from .findings import Result
from .mutation import MAX_SIZE, MAX_TIME

#: Seconds that a process may take to start and to end, in addition to those of the run.
GRACE: Final = 90
#: Memory of a process in MiB.
MAX_MEMORY: Final = 1024

_STATUS: Final = re.compile(r"^#(\d+)\s.*?cov: (\d+)", re.MULTILINE)
# The part of the output that explains a finding.
_REASON: Final = re.compile(r"=== Uncaught.*?(?=^==)|^ALARM.*|^==\d+== ERROR.*", re.MULTILINE | re.DOTALL)
_ARTIFACT: Final = re.compile(r"Test unit written to (\S+)")


def available() -> bool:
    """Return whether atheris is installed."""
    return find_spec("atheris") is not None


def fuzz(name: str, seconds: int, *, seed: int, directory: Path, corpus: Path | None = None) -> Result:
    """Fuzz one target for some seconds, and return the result.

    Inputs that reach new code are kept in ``corpus``; ``None``: they are not kept.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        command = [
            sys.executable,
            "-m",
            "lab.fuzzing.guided",
            name,
            str(corpus or Path(temporary, "corpus")),
            f"-max_total_time={seconds}",
            f"-max_len={MAX_SIZE}",
            f"-timeout={MAX_TIME}",
            f"-rss_limit_mb={MAX_MEMORY}",
            f"-seed={seed}",
            f"-artifact_prefix={directory}{os.sep}{name}-",
            "-print_final_stats=1",
        ]
        try:
            run = subprocess.run(
                command,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds + GRACE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Result(failure="it has not ended in time")
    return parse(run.stdout.decode(errors="replace"), run.returncode)


def parse(output: str, status: int) -> Result:
    """Return the result that libFuzzer has printed, whose process exited with ``status``."""
    result = Result()
    for executions, coverage in _STATUS.findall(output):
        result.executions, result.coverage = int(executions), int(coverage)
    reason = _REASON.search(output)
    text = (reason[0] if reason else output)[:8000]
    result.findings = [(Path(path), text) for path in _ARTIFACT.findall(output)]
    if status and not result.findings:
        result.failure = output[-8000:]
    return result


def main() -> None:
    """Fuzz one target in this process; the arguments are its name, a directory for its corpus, libFuzzer's options."""
    name, corpus, *options = sys.argv[1:]
    import atheris

    with atheris.instrument_imports(include=["django_websocket"]):
        from .targets import load

        target = load(name)
    seeds = Path(corpus)
    seeds.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(target.seeds):
        (seeds / f"seed-{index:03}").write_bytes(seed)
    if target.dictionary:
        words = seeds.parent / f"{name}.dict"
        words.write_text("".join(f'"{escape(word)}"\n' for word in target.dictionary), encoding="ascii")
        options.append(f"-dict={words}")

    def run(data: bytes) -> None:
        target.run(data)

    atheris.Setup([sys.argv[0], *options, corpus], run)
    atheris.Fuzz()


def escape(word: bytes) -> str:
    r"""Return a word of a dictionary in hexadecimal, as ``\x00``."""
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
