"""Asks all other processes for their WebSockets."""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import suppress
from typing import Final

from ....exceptions import GroupError
from ...snapshot import Search, Snapshot
from . import scripts
from .client import Client
from .keeper import TTL
from .keys import Keys
from .questions import Question, read_answer, write_question
from .wire import Wire

logger = logging.getLogger("django_websocket.groups")

#: Seconds between two looks at the answers: the first pause, and the longest; each doubles the last.
FIRST_PAUSE: Final = 0.002
LONGEST_PAUSE: Final = 0.05


class Asking:
    """A question to all other processes, which was published when this is made. The answers collect in Redis.

    A process that lives has a subscriber, because the thread that keeps it among the living is started with one. One
    that only publishes, such as a worker of Celery, has neither, and is not asked.
    """

    def __init__(self, client: Client, keys: Keys, wire: Wire, *, process: str, search: Search, limit: int) -> None:
        """Publish the question of ``process``.

        :raises GroupError: Redis is not available.
        """
        self._client = client
        self._wire = wire
        self._id = secrets.token_hex(16)
        self._key = keys.answers(self._id)
        question = write_question(wire, Question(self._id, search, limit))
        asked = client.run(scripts.ASK, [keys.processes], int(TTL * 1000), process, keys.own_channels, b"q " + question)
        self._asked = {name.decode() for name in asked[::2]}
        #: The processes that have not answered.
        self._silent = set(self._asked)
        #: Those of them that may answer: the question has reached them.
        self._waiting = {
            name.decode()
            for name, receivers in zip(asked[::2], asked[1::2], strict=True)
            if receivers or not client.topology.counts_receivers
        }
        self._seen = 0
        self._has_warned = False
        self._snapshots: dict[str, Snapshot] = {}

    def collect(self, deadline: float) -> tuple[list[Snapshot], list[str]]:
        """Return the answers, and the processes that have not answered; see :meth:`.RollCall.collect`."""
        pause = FIRST_PAUSE
        while self._waiting:
            is_last = time.monotonic() >= deadline
            self._look()
            if is_last:
                break
            if self._waiting:
                time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
                pause = min(pause * 2, LONGEST_PAUSE)
        if self._asked:
            # Without this, the key is forgotten a little later.
            with suppress(GroupError):
                self._client.execute("DEL", self._key)
        return list(self._snapshots.values()), sorted({name.partition("/")[0] for name in self._silent})

    def _look(self) -> None:
        """Read the answers that have come since the last look."""
        raws = self._client.execute("LRANGE", self._key, self._seen, -1)
        self._seen += len(raws)
        for raw in raws:
            answer = read_answer(self._wire, self._id, raw)
            if answer is None or answer.sender not in self._asked:
                self._warn()
                continue
            self._silent.discard(answer.sender)
            self._waiting.discard(answer.sender)
            self._snapshots[answer.sender] = answer.snapshot

    def _warn(self) -> None:
        """Log that an answer was ignored, but not for each of many."""
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "Groups: what a process has answered about its WebSockets is not understood, "
                "or is not signed with SECRET, and is ignored"
            )
