"""nginx in front of a server, with the site of the deployment page."""

from __future__ import annotations

from pathlib import Path

from lab.servers import HOST, ROOT, free_port, make_certificate

from . import needs
from .deployments import NGINX, Proxy, replace_each

DEPLOY = ROOT / "example_project" / "deploy"


class Nginx(Proxy):
    """A running nginx; clients take it for a server."""

    #: Where it redirects to TLS.
    plain_port: int

    def __init__(
        self, directory: Path, backend: str, *, tls: bool = True, changes: dict[str, str] | None = None
    ) -> None:
        """Start it in front of ``backend``, an address that nginx knows; ``changes`` replace parts of the site."""
        needs.program("openssl", "openssl")
        self._backend = backend
        self._changes = changes or {}
        self._errors = directory / "error.log"
        super().__init__("nginx", directory, backend, "", tls=tls, template=NGINX)

    def _spawn(self) -> None:
        self.plain_port = free_port()
        certificate = str(make_certificate())
        replacements = {
            "listen 80;": f"listen {HOST}:{self.plain_port};",
            "listen [::]:80;": "",
            "listen 443 ssl http2;": f"listen {HOST}:{self.port}{' ssl http2' * self._tls};",
            "listen [::]:443 ssl http2;": "",
            "/etc/letsencrypt/live/example.org/fullchain.pem": certificate,
            "/etc/letsencrypt/live/example.org/privkey.pem": certificate,
            "http://127.0.0.1:8000": self._backend,
            **self._changes,
        }
        self._values["body"] = replace_each((DEPLOY / "nginx.conf").read_text(), replacements)
        # If another process took a port in between, the log says so, and this is the next attempt.
        self._errors.unlink(missing_ok=True)
        super()._spawn()

    def check(self) -> None:
        """See that nothing went wrong in it."""
        log = self._errors.read_text()
        assert self.alive, log
        for level in ("emerg", "alert", "crit"):
            assert f"[{level}]" not in log, log
