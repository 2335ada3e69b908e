"""Fuzzing with coverage, by atheris: its libFuzzer ends the process, so each target has one of its own."""

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

#: Seconds that a process may take beside what it is given, to start and to end.
GRACE: Final = 90
#: MiB.
MAX_MEMORY: Final = 1024

_STATUS: Final = re.compile(r"^#(\d+)\s.*?cov: (\d+)", re.MULTILINE)
# What is worth reading of a finding.
_REASON: Final = re.compile(r"=== Uncaught.*?(?=^==)|^ALARM.*|^==\d+== ERROR.*", re.MULTILINE | re.DOTALL)
_ARTIFACT: Final = re.compile(r"Test unit written to (\S+)")


def available() -> bool:
    """Tell whether atheris is installed."""
    return find_spec("atheris") is not None


def fuzz(name: str, seconds: int, *, seed: int, directory: Path, corpus: Path | None = None) -> Result:
    """Fuzz one target for some seconds; what is worth keeping goes to ``corpus``, ``None`` for nowhere."""
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
    """Read what libFuzzer has printed, whose process ended with ``status``."""
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
    """Be that process: a target, a directory for its corpus, and the options of libFuzzer."""
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
    r"""Spell a word of a dictionary in hexadecimal, as ``\x00``."""
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
