"""How a real server is started and stopped: a process of its own, a free port, a log file.

Everything in ``lab/`` and in ``tests/`` that needs a server starts it by :class:`ServerProcess`.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

HOST: Final = "127.0.0.1"
#: The root of the repository, where servers are started.
ROOT: Final = Path(__file__).parents[1]
#: Seconds after which a server, or anything else that is waited for, counts as hanging.
PATIENCE: Final = 20.0
#: Seconds that a server has to end after SIGTERM.
GRACE: Final = 5.0
#: Seconds between two looks at something that is waited for.
INTERVAL: Final = 0.01
#: Free ports that are tried, in case another process takes one before the server does.
TRIES: Final = 5
#: Characters of the log that an error quotes.
TAIL: Final = 2000

EVENTLET_WORKER: Final = "django_websocket.gunicorn.EventletWorker"

T = TypeVar("T")


class ServerProcess:
    """A server in a process of its own, which can be started, stopped and started again.

    It may be used by one thread only, the main one: starting it changes a signal handler for a moment.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        log: Path,
        *,
        program: str = sys.executable,
        environment: Mapping[str, str] | None = None,
        certificate: Path | None = None,
        cpus: Collection[int] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        """Describe the server; :meth:`start` starts it.

        ``arguments`` are those of ``program``, the interpreter by default, with ``{port}`` for the port and
        ``{certificate}`` for the path of ``certificate``. ``log`` gets what the process writes, and is emptied at each
        start. ``environment`` is all of its environment; ``None``: that of this process. It runs on the processors
        ``cpus`` only; ``None``: on any. It has to be ready within ``patience`` seconds.
        """
        self.name = name
        self.log = log
        self.port = 0
        self._command = [program, *arguments]
        self._environment = environment
        self._certificate = certificate
        self._cpus = cpus
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    # Starting

    def start(self) -> None:
        """Start the server on a free port, and wait until it is ready.

        :raises RuntimeError: the server has ended, or is not ready in time, or no port is free.
        """
        for _ in range(TRIES):
            self.port = free_port()
            self._spawn()
            try:
                if self._wait_until_ready():
                    return
            except BaseException:
                self.stop()
                raise
            self.stop()
            # Another process may have taken the port in the meantime. Any other reason would come again.
            if "in use" not in self._read_log():
                raise RuntimeError(self._describe_failure())
        raise RuntimeError(f"{self.name} finds no free port")

    def _spawn(self) -> None:
        self._stopped = False
        command = [argument.format(port=self.port, certificate=self._certificate) for argument in self._command]
        # A child inherits that its parent ignores SIGINT, as a shell's background job does.
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with self.log.open("wb") as log, pinned(self._cpus):
                self._process = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        finally:
            signal.signal(signal.SIGINT, previous)

    def _wait_until_ready(self) -> bool:
        """Return whether the server is ready; if not, its process has ended."""
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            ready = self.is_ready()
            # If the process has ended, the answer came from another process on the same port.
            if not self.alive:
                return False
            if ready:
                return True
            time.sleep(INTERVAL)
        raise RuntimeError(self._describe_failure())

    def is_ready(self) -> bool:
        """Return whether the server accepts connections."""
        try:
            socket.create_connection((HOST, self.port), 1).close()
        except OSError:
            return False
        return True

    def _describe_failure(self) -> str:
        return f"{self.name} does not listen; its log: {self._read_log()[-TAIL:]}"

    def _read_log(self) -> str:
        return self.log.read_text(errors="replace")

    # While it runs

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started; others may descend from it."""
        assert self._process is not None, "the server was not started"
        return self._process

    @property
    def alive(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group, as a terminal or a supervisor would."""
        os.killpg(self.process.pid, number)

    # Stopping

    def stop(self) -> None:
        """End the process and all that descend from it, by SIGTERM and then by SIGKILL; do nothing the second time."""
        if self._process is None or self._stopped:
            return
        # SIGKILL follows even where the process has ended by then: its children may have survived it.
        for number, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, PATIENCE)):
            try:
                self.signal(number)
                self._process.wait(seconds)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._stopped = True


def stop_together(servers: Collection[ServerProcess]) -> None:
    """Stop servers, which all end at the same time."""
    for server in servers:
        if server.alive:
            server.signal(signal.SIGTERM)
    for server in servers:
        server.stop()


def gunicorn(worker: str, *more: str) -> tuple[str, ...]:
    """Return the interpreter's arguments for gunicorn with workers of a class; ``more`` are options and application."""
    return ("-m", "gunicorn", "--no-control-socket", "--bind", f"{HOST}:{{port}}", "--worker-class", worker, *more)


# Helpers for servers and their clients


def eventually(get: Callable[[], T], good: Callable[[T], bool] = bool, timeout: float = PATIENCE) -> T:
    """Call ``get`` again and again until its result is good, and return that result.

    :raises AssertionError: it was not good within ``timeout`` seconds; the text has the last result.
    """
    deadline = time.monotonic() + timeout
    while not good(result := get()):
        assert time.monotonic() < deadline, f"still {result!r} after {timeout} s"
        time.sleep(INTERVAL)
    return result


def free_port() -> int:
    """Return a port that no process listens on at the moment."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def pinned(cpus: Collection[int] | None) -> Iterator[None]:
    """Run this process, and the processes it starts meanwhile, on some processors only; ``None``: on those it has."""
    if cpus is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def find_program(name: str) -> str | None:
    """Return the path of a program, or ``None`` if it is not installed."""
    directories = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if "/usr/bin" in directories:
        # Debian installs daemons into a directory that only root has on its PATH.
        directories.append("/usr/sbin")
    return shutil.which(name, path=os.pathsep.join(directories))


@cache
def make_certificate() -> Path:
    """Make a self-signed certificate, and return the path of a file with the certificate and its key.

    The file is deleted when this process exits.

    :raises RuntimeError: openssl is not installed.
    """
    openssl = find_program("openssl")
    if openssl is None:
        raise RuntimeError("a certificate needs openssl, which is not installed")
    directory = Path(tempfile.mkdtemp(prefix="certificate"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path, certificate = directory / "server.pem", directory / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"]
    command += ["-addext", f"subjectAltName=DNS:localhost,IP:{HOST}", "-keyout", str(path), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + certificate.read_text())
    return path


@cache
def insecure(alpn: str = "") -> ssl.SSLContext:
    """Return a client's TLS context that accepts any certificate, and offers the protocol ``alpn`` if there is one."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([alpn])
    return context
