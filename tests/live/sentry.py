"""What stands in for the service of Sentry: it takes what the SDK sends, over HTTP."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab.servers import HOST


class Sentry:
    """A running service, which keeps what comes, and is used in a ``with`` statement."""

    def __init__(self) -> None:
        #: Type and payload of each item, in the order of arrival.
        self.items: list[tuple[str, dict[str, Any]]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def dsn(self) -> str:
        return f"http://key@{HOST}:{self._server.server_port}/1"

    def take(self, envelope: bytes) -> None:
        """Take an envelope: its header, and pairs of the header of an item and its payload, a line each."""
        lines = envelope.splitlines()[1:]
        for header, payload in zip(lines[::2], lines[1::2], strict=True):
            self.items.append((json.loads(header)["type"], json.loads(payload)))

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the payloads of a type."""
        return [payload for type_, payload in list(self.items) if type_ == kind]

    def __enter__(self) -> Sentry:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
