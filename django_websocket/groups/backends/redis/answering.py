"""Answers the questions of other processes for the WebSockets of this one."""

from __future__ import annotations

import logging
import time
from collections import deque
from functools import partial
from typing import Final

from ....exceptions import GroupError
from ....process.threads import native_rlock, start_worker
from ...snapshot import take_snapshot
from . import scripts
from .client import Client
from .keys import Keys
from .questions import Answer, Question, read_question, write_answer
from .wire import Wire

logger = logging.getLogger("django_websocket.groups")

#: Questions that are answered at the same time; others are dropped.
AT_ONCE: Final = 4
#: Milliseconds until an answer is forgotten that nobody has read.
LIFE: Final = 10_000
#: Answers to one question that are kept.
KEPT: Final = 10_000
#: Questions that are remembered, so that none is answered twice.
REMEMBERED: Final = 100
#: Seconds between two warnings.
WARNING_INTERVAL: Final = 60.0


class Answering:
    """Answers questions, each in a thread of its own: looking at thousands of WebSockets takes a while."""

    def __init__(self, client: Client, keys: Keys, wire: Wire, process: str) -> None:
        self._client = client
        self._keys = keys
        self._wire = wire
        self._process = process
        self._lock = native_rlock()
        self._running = 0
        self._remembered: deque[str] = deque(maxlen=REMEMBERED)
        self._next_warning = 0.0

    def receive(self, raw: bytes) -> None:
        """Answer a question soon; never waits for Redis. The subscriber's threads call it."""
        question = read_question(self._wire, raw)
        if question is None:
            self._warn("is not understood, or is not signed with SECRET")
            return
        with self._lock:
            # In a cluster each subscriber of this process gets it.
            if question.id in self._remembered:
                return
            self._remembered.append(question.id)
            has_room = self._running < AT_ONCE
            self._running += has_room
        if not has_room:
            self._warn(f"has come while {AT_ONCE} others were being answered")
        elif not start_worker(partial(self._run, question), "groups-answer"):
            self._leave()
            self._warn("has come while there was no room for another thread")

    def _run(self, question: Question) -> None:
        try:
            answer = Answer(self._process, take_snapshot(question.search, question.limit))
            self._client.run(
                scripts.ANSWER,
                [self._keys.answers(question.id)],
                LIFE,
                KEPT,
                write_answer(self._wire, question.id, answer),
            )
        except GroupError as error:
            logger.warning("Groups: another process was not told of the WebSockets of this one: %s", error)
        except Exception:
            logger.exception("Groups: another process was not told of the WebSockets of this one")
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._running -= 1

    def _warn(self, what: str) -> None:
        """Log that a question was ignored, but not for each of many."""
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + WARNING_INTERVAL
            logger.warning("Groups: a question for the WebSockets of this process %s, and is ignored", what)
