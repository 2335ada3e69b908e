"""A running server of the project, which is talked to, looked at, and checked after a test."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
from pathlib import Path
from typing import Any, Final

from ..kinds import Kind
from ..servers import HOST, ServerProcess, eventually, insecure, make_certificate

#: Texts that Python writes about errors that no code has caught.
ACCIDENTS: Final = ("Traceback", "Exception ignored", "ResourceWarning", "was never awaited", "Fatal Python error")


class Server(ServerProcess):
    """A running server of a kind. It is started by its constructor."""

    def __init__(
        self,
        kind: Kind,
        log: Path,
        *,
        middleware: bool = True,
        settings: dict[str, Any] | None = None,
        arguments: tuple[str, ...] | None = None,
        environment: dict[str, str] | None = None,
        strict: bool = True,
        ready: str = "/ready/",
    ) -> None:
        """Start the server; ``middleware`` is whether the package's middleware is installed.

        ``settings`` and ``environment`` come on top of those of the kind, ``arguments`` in place of its own. ``ready``
        is a page that the server answers with status 200 once it is ready. A server that is not ``strict`` may leave
        sockets open without a ResourceWarning being an error, as it does when it ends.

        :raises RuntimeError: it does not start.
        """
        self.kind = kind
        self.middleware = middleware
        self._ready = ready
        #: The position in the log at which the present test began.
        self._mark = 0
        self._expected: list[str] = []
        self._tolerated: tuple[str, ...] = ()
        self._module = ""
        self._usage: tuple[int, int] | None = None
        variables = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "lab.project.settings",
            "LIVE_SETTINGS": json.dumps({**kind.settings, **(settings or {})}),
            "LIVE_MIDDLEWARE": str(int(middleware)),
            "PYTHONUNBUFFERED": "1",
            **kind.environment,
            **(environment or {}),
        }
        variables.pop("PYTHONWARNINGS", None)
        super().__init__(
            kind.name,
            (
                *(("-W", "error::ResourceWarning") if strict else ()),
                *(kind.arguments if arguments is None else arguments),
            ),
            log,
            environment=variables,
            certificate=make_certificate() if kind.tls else None,
        )
        self.start()

    def is_ready(self) -> bool:
        """Return whether the server answers requests."""
        try:
            return self.get(self._ready)[0] == http.client.OK
        except OSError:
            return False

    # Its processes

    def children(self) -> list[int]:
        """Return the processes that the first one has started: what a reloader restarts, or gunicorn's workers."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    @property
    def pid(self) -> int:
        """The process that serves."""
        if not self.kind.forks:
            return self.process.pid
        (pid,) = self.children()
        return pid

    def settle(self) -> None:
        """Wait until all threads of the server wait, so that no work is half done."""

        def states() -> set[str]:
            try:
                stats = [path.read_text() for path in Path(f"/proc/{self.pid}/task").glob("*/stat")]
            except OSError:
                return {"a thread has just ended"}
            return {stat.rpartition(")")[2].split()[0] for stat in stats}

        eventually(states, lambda states: states == {"S"})

    def usage(self) -> tuple[int, int]:
        """Return the number of open descriptors, and of threads."""
        proc = Path(f"/proc/{self.pid}")
        return len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir()))

    def idle(self) -> None:
        """Wait until all connections are closed, and all threads that served them have ended."""
        assert self._usage is not None
        descriptors, threads = self._usage
        # The threads of the pool stay, and so do a few that the server starts for itself.
        threads = max(threads, self.kind.pool + 6 if self.kind.pool else 0)
        eventually(self.usage, lambda usage: usage[0] <= descriptors and usage[1] <= threads)

    def memory(self) -> int:
        """Return the resident memory in bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    # Its address, and requests to it

    def connect(self, timeout: float = 10.0, alpn: str = "") -> socket.socket:
        """Return a connected socket; over TLS with the protocol ``alpn``, if the server speaks TLS."""
        sock = socket.create_connection((HOST, self.port), timeout=timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock if self.tls is None else insecure(alpn).wrap_socket(sock)

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The context for a client; ``None``: the server does not speak TLS."""
        return insecure() if self.kind.tls else None

    def url(self, path: str) -> str:
        """Return the URL of a WebSocket at a path."""
        return f"ws{'s' * self.kind.tls}://{HOST}:{self.port}{path}"

    @property
    def origin(self) -> str:
        """The Origin of the server's own pages."""
        return f"http{'s' * self.kind.tls}://{HOST}:{self.port}"

    @property
    def host(self) -> str:
        """The Host header of a request to it."""
        return f"{HOST}:{self.port}"

    def get(self, target: str) -> tuple[int, bytes]:
        """Make a plain HTTP request on a new connection, and return the status and the body.

        :raises OSError: there is no answer, or it is not HTTP.
        """
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.sock = self.connect()
            connection.request("GET", target)
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            raise ConnectionError from error
        finally:
            connection.close()

    def tally(self, path: str) -> dict[str, int]:
        """Return how often the view at a path was called, and its requests were started, finished and failed."""
        status, body = self.get(f"/tally/?path={path}")
        assert status == http.client.OK
        counts: dict[str, int] = json.loads(body)
        return counts

    # Its log

    @property
    def text(self) -> str:
        """The log of the present test."""
        with self.log.open("rb") as log:
            log.seek(self._mark)
            return log.read().decode(errors="replace")

    def records(self, logger: str = "") -> list[dict[str, Any]]:
        """Return the log records of the present test, those of ``logger`` and of its children."""
        lines = [
            line[4:] for line in self.text.splitlines(keepends=True) if line.startswith("LOG ") and line[-1] == "\n"
        ]
        return [record for record in map(json.loads, lines) if record["logger"].startswith(logger)]

    def ended(self, path: str) -> dict[str, Any]:
        """Wait until the view at a path has ended, and return what it has logged about its end."""

        def look() -> list[dict[str, Any]]:
            ends = [json.loads(record["message"].partition(" ")[2]) for record in self.records("live")]
            return [end for end in ends if end["path"] == path]

        (end,) = eventually(look)
        return end

    # Before and after a test

    def begin(self) -> None:
        """Note the state of the server before a test."""
        self._mark = self.log.stat().st_size
        self._expected, self._tolerated, self._module = [], (), ""
        usage = self.usage()
        self._usage = usage if self._usage is None else (min(usage[0], self._usage[0]), min(usage[1], self._usage[1]))

    def expect(self, error: str, times: int = 1) -> None:
        """Expect an error to be logged so many times; ``error`` is the beginning of its ``repr()``."""
        self._expected += [error] * times

    def tolerate(self, *errors: str) -> None:
        """Allow errors to be logged any number of times; each is the beginning of a ``repr()``."""
        self._tolerated = errors

    def tolerate_tracebacks(self, module: str) -> None:
        """Allow tracebacks of a module of the server in which Django does not appear."""
        self._module = module

    def check(self) -> None:
        """Check that a test has left nothing open, and that nothing unexpected was logged.

        :raises AssertionError: the server has ended, holds more than before the test, or has logged an error.
        """
        assert self.process.poll() is None, f"the server is gone: {self.text}"
        self.idle()
        self.check_log()

    def check_log(self) -> None:
        """Check that all expected errors were logged in the present test, and no others.

        :raises AssertionError: that is not so; the text has the log.
        """
        text = self.text
        if self._module:
            tracebacks = re.findall(r"^Traceback.*\n(?: +.*\n)*", text, re.MULTILINE)
            for traceback in tracebacks:
                if self._module in traceback and "/django" not in traceback:
                    text = text.replace(traceback, "")
        for accident in ACCIDENTS:
            assert accident not in text, text
        errors = [record["error"] for record in self.records() if record["error"]]
        for expected in self._expected:
            found = next((error for error in errors if error.startswith(expected)), None)
            assert found is not None, f"{expected} was not logged: {text}"
            errors.remove(found)
        assert all(error.startswith(self._tolerated) for error in errors), text
