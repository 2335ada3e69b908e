"""Perl's Protocol::WebSocket as a client: each of its versions, by a process that is talked to in lines."""

from __future__ import annotations

import queue
import subprocess
import threading
from pathlib import Path

from lab.project.server import Server
from lab.servers import PATIENCE

from .needs import perl_with

SCRIPT = Path(__file__).with_name("old_client.pl")

#: The versions by number, as Perl calls them.
VERSIONS = {
    13: "draft-ietf-hybi-17",
    8: "draft-ietf-hybi-10",
    76: "draft-ietf-hybi-00",
    75: "draft-hixie-75",
}


class OldClient:
    """An open connection of ``old_client.pl``, which stands in that file's first lines."""

    def __init__(self, server: Server, path: str, version: int, cookie: str = "") -> None:
        perl = perl_with("Protocol::WebSocket", "libprotocol-websocket-perl")
        address, port = server.host.split(":")
        self.version = version
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [perl, str(SCRIPT), address, port, path, VERSIONS[version], *([cookie] if cookie else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        # Lines are read in a thread of their own, as pipes know no timeout.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line.removesuffix("\n"))
        self._lines.put("(the client has ended)")

    def __enter__(self) -> OldClient:
        assert self.event() == "open"
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        self._process.stdout.close()

    def event(self) -> str:
        """Return the next line that the client writes."""
        return self._lines.get(timeout=PATIENCE)

    def send(self, message: str) -> None:
        """Send a message, which is a line."""
        assert "\n" not in message
        self._process.stdin.write(f"{message}\n")
        self._process.stdin.flush()

    def next(self) -> str:
        """Return the next message."""
        kind, _, message = self.event().partition(" ")
        assert kind == "message", (kind, message)
        return message

    def ask(self, message: str) -> str:
        """Send a message and give the one that comes next."""
        self.send(message)
        return self.next()

    def close(self) -> None:
        """Close, and see that the server does its part."""
        self._process.stdin.close()
        self.ended()

    def ended(self, code: int = 1000) -> None:
        """See that the server closes, in the way of the version, and that the client has nothing to complain of."""
        if self.version in {13, 8}:
            assert self.event() == f"close {code}"
        elif self.version == 76:
            assert self.event() == "close"
        assert self.event() == "end"
        assert self.event() == "(the client has ended)"
        assert self._process.wait(PATIENCE) == 0
