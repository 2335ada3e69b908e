"""Fuzzing without coverage, on every Python: seeds are changed at random, and so are inputs with a new outcome."""

from __future__ import annotations

import random
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .findings import Result, save
from .targets import Target

#: The most bytes of an input.
MAX_SIZE: Final = 4096
#: The most inputs that are changed again, in addition to the seeds.
MAX_POOL: Final = 2000
#: Seconds of processor time that one input may take.
MAX_TIME: Final = 10
#: The number of findings after which a target is left, because most have the same cause.
MAX_FINDINGS: Final = 5
#: Bytes with a meaning for most parsers.
BYTES: Final = bytes([0, 1, 7, 9, 10, 13, 32, 34, 44, 59, 125, 126, 127, 128, 129, 136, 137, 138, 193, 254, 255])


def fuzz(target: Target, seconds: float, *, seed: int, directory: Path) -> Result:
    """Fuzz one target for some seconds, and return the result; the same ``seed`` makes the same inputs."""
    chance = random.Random(seed)
    result = Result(outcomes=0)
    pool = list(target.seeds)
    outcomes: set[str] = set()
    failures: set[str] = set()
    deadline = time.monotonic() + seconds
    waiting = pool.copy()
    # All seeds are tried, however long they take.
    while waiting or time.monotonic() < deadline:
        data = waiting.pop() if waiting else mutate(pool, target.dictionary, chance)
        result.executions += 1
        try:
            with bounded(MAX_TIME):
                outcome = target.run(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            place = traceback.extract_tb(error.__traceback__)[-1]
            failure = f"{type(error).__name__} {place.filename}:{place.lineno}"
            if failure not in failures:
                failures.add(failure)
                result.findings.append((save(directory, target.name, data), traceback.format_exc()))
                if len(failures) == MAX_FINDINGS:
                    break
            continue
        if outcome not in outcomes:
            outcomes.add(outcome)
            if len(pool) < len(target.seeds) + MAX_POOL:
                pool.append(data)
    result.outcomes = len(outcomes)
    return result


def mutate(pool: Sequence[bytes], dictionary: Sequence[bytes], chance: random.Random) -> bytes:
    """Return one of the inputs, changed in one to five places."""
    data = bytearray(chance.choice(pool))
    for _ in range(chance.randint(1, 5)):
        start = chance.randint(0, len(data))
        stop = min(len(data), start + chance.choice((1, 1, 2, 4, 16, 64)))
        way = chance.randrange(7)
        if way == 0:
            data[start:stop] = chance.randbytes(stop - start)
        elif way == 1:
            data[start : start + 1] = bytes([chance.choice(BYTES)])
        elif way == 2:
            del data[start:stop]
        elif way == 3:
            data[start:start] = data[start:stop] * chance.randint(1, 4)
        elif way == 4 and data:
            data[start % len(data)] ^= 1 << chance.randrange(8)
        elif way == 5 and dictionary:
            data[start:start] = chance.choice(dictionary)
        else:
            other = chance.choice(pool)
            place = chance.randint(0, len(other))
            data[start:stop] = other[place : place + chance.choice((1, 4, 16, 64))]
    return bytes(data[:MAX_SIZE])


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Limit the processor time of a block in the main thread.

    :raises TimeoutError: the block has used ``seconds`` of it.
    """

    def interrupt(*_: object) -> None:
        raise TimeoutError(f"one input takes over {seconds} s")

    previous = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
