"""nginx in front of a server, with the site of the deployment page."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
from pathlib import Path

from lab.servers import HOST, PATIENCE, ROOT, eventually, free_port, insecure, make_certificate

from . import needs

DEPLOY = ROOT / "example_project" / "deploy"
#: What has to stand around a site: all files in a directory of its own, and one process, in the foreground.
AROUND = """
daemon off;
master_process off;
pid {directory}/pid;
error_log {directory}/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log {directory}/access.log;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/site.conf;
}}
"""


class Nginx:
    """A running nginx; clients take it for a server."""

    def __init__(
        self, directory: Path, backend: str, *, tls: bool = True, changes: dict[str, str] | None = None
    ) -> None:
        """Start it in front of ``backend``, an address that nginx knows; ``changes`` replace parts of the site."""
        self._directory = directory
        self._tls = tls
        self._log = directory / "error.log"
        directory.mkdir()
        (directory / "nginx.conf").write_text(AROUND.format(directory=directory))
        for _ in range(5):
            self.port, self.plain_port = free_port(), free_port()
            self._write_site(backend, changes or {})
            self._spawn()
            eventually(self._is_ready)
            if self.process.poll() is None:
                return
            # Somebody else took a port in between.
            assert "Address already in use" in self._log.read_text(), self._log.read_text()
        raise AssertionError("no port is free")

    def _write_site(self, backend: str, changes: dict[str, str]) -> None:
        site = (DEPLOY / "nginx.conf").read_text()
        needs.program("openssl", "openssl")
        certificate = str(make_certificate())
        replacements = {
            "listen 80;": f"listen {HOST}:{self.plain_port};",
            "listen [::]:80;": "",
            "listen 443 ssl http2;": f"listen {HOST}:{self.port}{' ssl http2' * self._tls};",
            "listen [::]:443 ssl http2;": "",
            "/etc/letsencrypt/live/example.org/fullchain.pem": certificate,
            "/etc/letsencrypt/live/example.org/privkey.pem": certificate,
            "http://127.0.0.1:8000": backend,
            **changes,
        }
        for old, new in replacements.items():
            assert site.count(old) == 1, old
            site = site.replace(old, new)
        (self._directory / "site.conf").write_text(site)

    def _spawn(self) -> None:
        command = [needs.program("nginx", "nginx"), "-e", str(self._log), "-p", str(self._directory)]
        self.process = subprocess.Popen(
            [*command, "-c", str(self._directory / "nginx.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            return True
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)

    def check(self) -> None:
        """See that nothing went wrong in it."""
        log = self._log.read_text()
        assert self.process.poll() is None, log
        for level in ("emerg", "alert", "crit"):
            assert f"[{level}]" not in log, log

    # As a server has it

    def connect(self, timeout: float = 10.0, port: int | None = None) -> socket.socket:
        sock = socket.create_connection((HOST, port or self.port), timeout=timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock if self.tls is None else self.tls.wrap_socket(sock)

    @property
    def tls(self) -> ssl.SSLContext | None:
        return insecure() if self._tls else None

    @property
    def host(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def origin(self) -> str:
        return f"http{'s' * self._tls}://{self.host}"

    def url(self, path: str) -> str:
        return f"ws{'s' * self._tls}://{self.host}{path}"
