"""The proxies of the documentation, each with its configuration as it is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from lab.servers import HOST, ROOT, make_certificate

from . import deployments
from .deployments import Proxy, replace_each
from .typed import blocks

#: Apache, with what Debian loads, the modules that the page has enabled, and the limits for slow requests that Debian
#: sets, shortened.
_APACHE: Final = deployments.APACHE.replace(
    "{body}",
    """LoadModule reqtimeout_module {modules}/mod_reqtimeout.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule ssl_module {modules}/mod_ssl.so
RequestReadTimeout header=1-2,minrate=500 body=1,minrate=500
{body}""",
)
_CADDY: Final = """
{{
    admin unix/{directory}/admin
    auto_https off
}}
{body}
"""


class Configuration(NamedTuple):
    """How a printed configuration is run here."""

    program: str
    #: What stands around it.
    around: str
    #: What is replaced in it by addresses and files of the test.
    addresses: dict[str, str]
    #: Where it expects the server.
    backend: str = "127.0.0.1:8000"


CADDY: Final = "/etc/caddy/Caddyfile"
APACHE: Final = "/etc/apache2/sites-available/example.conf"
HAPROXY: Final = "/etc/haproxy/haproxy.cfg"
CONTAINER: Final = "example_project/deploy/Caddyfile"
#: Caddy cannot get a certificate here.
_CADDY_SITE: Final = "https://{host}:{port} {{\n    tls {certificate} {certificate}"
#: By the captions of the page on proxies, and the file of the page on Docker.
CONFIGURATIONS: Final = {
    CADDY: Configuration("caddy", _CADDY, {"example.org {{": _CADDY_SITE}),
    APACHE: Configuration(
        "apache2",
        _APACHE,
        {
            "*:443": "{host}:{port}",
            "ServerName example.org": "ServerName {host}",
            "/etc/letsencrypt/live/example.org/fullchain.pem": "{certificate}",
            "/etc/letsencrypt/live/example.org/privkey.pem": "{certificate}",
        },
    ),
    HAPROXY: Configuration(
        "haproxy", "{body}", {"bind :443": "bind {host}:{port}", "/etc/haproxy/example.org.pem": "{certificate}"}
    ),
    CONTAINER: Configuration("caddy", _CADDY, {"{{$SITE}} {{": _CADDY_SITE}, "web:8000"),
}


def printed(name: str) -> str:
    """Return a configuration as it is printed."""
    if name == CONTAINER:
        return (ROOT / name).read_text(encoding="utf-8")
    (block,) = [block for block in blocks("proxies") if block.caption == name]
    return block.text


class DocumentedProxy(Proxy):
    """A proxy with a configuration of the documentation, in front of a backend. It speaks TLS."""

    def __init__(self, name: str, directory: Path, backend: str, changes: dict[str, str] | None = None) -> None:
        """Start it; ``changes`` replace parts of what is printed."""
        configuration = CONFIGURATIONS[name]
        self._text = replace_each(printed(name), {**(changes or {}), configuration.backend: backend})
        self._addresses = configuration.addresses
        super().__init__(configuration.program, directory, backend, "", tls=True, template=configuration.around)

    @property
    def directory(self) -> Path:
        """Where its files are."""
        return self._configuration.parent

    def _spawn(self) -> None:
        values = {"host": HOST, "port": self.port, "certificate": make_certificate()}
        addresses = {old.format(**values): new.format(**values) for old, new in self._addresses.items()}
        self._values["body"] = replace_each(self._text, addresses)
        super()._spawn()
