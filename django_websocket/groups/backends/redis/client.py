"""Commands to Redis, from any thread or greenlet."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable, Sequence
from types import BuiltinFunctionType, SimpleNamespace
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from ....exceptions import GroupUnavailable
from ....process.threads import original
from .errors import failures, import_redis, translate
from .scripts import Script
from .topologies import Route, Topology

#: Commands that are executed at the same time, each on a connection of its own, for all threads and greenlets that
#: share a client; others wait.
CONNECTIONS: Final = 32

T = TypeVar("T")
Word: TypeAlias = str | bytes | int | float


class Call(NamedTuple):
    """A call of a script."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[Word]


class Client:
    """Executes commands. Its errors are those of groups. Thread-safe; connected at the first command.

    Threads share a client of redis-py, unless greenlets have replaced them: then each native thread has its own,
    because a hub of greenlets cannot wake those of another thread.
    """

    def __init__(self, topology: Topology, timeout: float) -> None:
        """Remember what clients are made of; a command that gets no free connection fails after ``timeout`` seconds."""
        self.topology = topology
        self.timeout = timeout
        self._closed = False
        self._failures = failures()
        self._no_script: type[Exception] = import_redis().exceptions.NoScriptError
        self._read_only: type[Exception] = import_redis().exceptions.ReadOnlyError
        # What eventlet and gevent put in its place is written in Python.
        is_patched = not isinstance(_thread.start_new_thread, BuiltinFunctionType)
        self._made: Any = original("_thread", "_local")() if is_patched else SimpleNamespace()

    def run(self, script: Script, keys: Sequence[str], *arguments: Word) -> Any:
        """Run a script, and return its result.

        :raises GroupError: Redis is not available, or refuses.
        """
        return self._attempt(lambda client: self._run(client, script, keys, arguments))

    def run_all(self, calls: Sequence[Call]) -> list[Any]:
        """Run scripts, at once if possible, and return their results; the errors are those of :meth:`run`.

        Those of the calls ahead of an error may have been executed, and those behind it too.
        """
        if not self.topology.can_pipeline or len(calls) < 2:
            return [self.run(call.script, call.keys, *call.arguments) for call in calls]
        return self._attempt(lambda client: self._pipeline(client, calls))

    def execute(self, *words: Word) -> Any:
        """Execute a command, and return its result; the errors are those of :meth:`run`."""
        return self._attempt(lambda client: client.execute_command(*words))

    def route(self, channel: str) -> Route:
        """Return where a channel is to be subscribed; the errors are those of :meth:`run`."""
        return self._attempt(lambda client: self.topology.route(client, channel))

    def connect(self, route: Route) -> Any:
        """Return a connection for subscriptions; the errors are those of :meth:`run`."""
        return self._attempt(lambda client: self.topology.connect(client, route))

    def publish(self, route: Route, channel: str, data: bytes) -> None:
        """Publish to a channel at a node; the errors are those of :meth:`run`."""
        self._attempt(lambda client: self.topology.publish(client, route, channel, data))

    def refresh(self) -> None:
        """Ask anew where the servers are; the errors are those of :meth:`run`."""
        self._attempt(self.topology.refresh)

    def close(self) -> None:
        """Close the connections of this thread's client. No more commands are executed."""
        self._closed = True
        client = self._made.__dict__.pop("client", None)
        if client is not None:
            client.close()

    def _attempt(self, function: Callable[[Any], T]) -> T:
        """Return what ``function`` returns for a client of redis-py, on one of its connections.

        :raises GroupError: redis-py raised an error.
        """
        if self._closed:
            raise GroupUnavailable("groups were stopped: the setting has changed")
        free = self._made.__dict__.get("free")
        if free is None:
            free = self._made.__dict__.setdefault("free", threading.BoundedSemaphore(CONNECTIONS))
        if not free.acquire(timeout=self.timeout):
            raise GroupUnavailable(f"{CONNECTIONS} commands to Redis have taken longer than {self.timeout} s")
        try:
            client = self._client()
            try:
                return function(client)
            finally:
                self._close_if_late(client)
        except self._failures as error:
            if isinstance(error, self._read_only):
                self._give_up_connections()
            raise translate(error) from error
        finally:
            free.release()

    def _close_if_late(self, client: Any) -> None:
        if self._closed:
            # It was closed meanwhile, and the command may have opened a connection afterwards.
            client.close()

    def _client(self) -> Any:
        client = self._made.__dict__.get("client")
        if client is None:
            client = self._made.__dict__.setdefault("client", self.topology.make_client())
        return client

    def _give_up_connections(self) -> None:
        """Connect anew next time: what was the master is a replica now."""
        try:
            self.topology.refresh(self._client())
        except self._failures:
            pass

    def _run(self, client: Any, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> Any:
        try:
            return client.evalsha(script.sha, len(keys), *keys, *arguments)
        except self._no_script:
            pass
        return client.eval(script.source, len(keys), *keys, *arguments)

    @staticmethod
    def _pipeline(client: Any, calls: Sequence[Call]) -> list[Any]:
        with client.pipeline(transaction=False) as pipeline:
            for script, keys, arguments in calls:
                pipeline.eval(script.source, len(keys), *keys, *arguments)
            results: list[Any] = pipeline.execute()
            return results
