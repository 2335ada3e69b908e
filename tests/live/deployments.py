"""Proxies in front of a server, each with the one mistake that a configuration of it can have."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab.servers import HOST, ServerProcess, insecure, make_certificate

from . import needs

#: How many threads Apache has here.
APACHE_THREADS: Final = 16
#: What has to stand around a site of nginx: all files in a directory of its own, and one process, in the foreground.
NGINX: Final = """
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
    {body}
}}
"""
#: Apache, with the modules without which it cannot be a proxy.
APACHE: Final = """
ServerRoot {directory}
PidFile {directory}/pid
ErrorLog {directory}/error.log
DefaultRuntimeDir {directory}
Listen {host}:{port}
ServerName {host}
User www-data
Group www-data
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
ServerLimit 1
ThreadsPerChild {threads}
MaxRequestWorkers {threads}
{body}
"""
#: What a configuration has to say around its one interesting part. ``{body}`` is that part.
_NGINX: Final = NGINX.replace(
    "{body}",
    """upstream app {{ server {backend}; }}
    server {{
        listen {host}:{port}{tls};
        {body}
    }}""",
)
_HAPROXY: Final = """
defaults
    mode http
    timeout connect 2s
    {body}
listen site
    bind {host}:{port}
    server app {backend}
"""
_CADDY: Final = """
{{
    admin off
    auto_https off
}}
http://{host}:{port} {{
    {body}
}}
"""
#: By the name of each program: its package on Debian, its configuration, and its arguments.
PROGRAMS: Final = {
    "nginx": ("nginx", _NGINX, ("-e", "{directory}/error.log", "-p", "{directory}", "-c", "{configuration}")),
    "haproxy": ("haproxy", _HAPROXY, ("-db", "-f", "{configuration}")),
    "apache2": ("apache2-bin", APACHE, ("-D", "FOREGROUND", "-f", "{configuration}")),
    "caddy": ("caddy", _CADDY, ("run", "--adapter", "caddyfile", "--config", "{configuration}")),
}
#: What nginx needs for WebSockets, each line of which is left out by somebody.
UPGRADE: Final = (
    "proxy_http_version 1.1;",
    "proxy_set_header Upgrade $http_upgrade;",
    'proxy_set_header Connection "upgrade";',
    "proxy_set_header Host $http_host;",
)
#: Where Debian has Apache's modules.
_MODULES: Final = Path("/usr/lib/apache2/modules")


def to_app(*lines: str) -> str:
    """Return the part of nginx's configuration that passes all requests on, with further lines."""
    return f"location / {{ proxy_pass http://app; {' '.join(lines)} }}"


def without(line: str) -> tuple[str, ...]:
    """Return the lines that nginx needs, without one of them."""
    assert line in UPGRADE
    return tuple(other for other in UPGRADE if other != line)


def find_proxy(program: str) -> str:
    """Return the path of a proxy; skip the test if it is missing."""
    return needs.program(program, PROGRAMS[program][0])


def replace_each(text: str, changes: Mapping[str, str]) -> str:
    """Return a configuration with some of its parts replaced, each of which it has once."""
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


class Proxy(ServerProcess):
    """A proxy of Debian in front of a backend. It is started by its constructor."""

    def __init__(
        self, program: str, directory: Path, backend: str, body: str, *, tls: bool = False, template: str | None = None
    ) -> None:
        """Start it with ``body`` in its configuration, in which ``{backend}`` and ``{directory}`` are replaced.

        ``template`` is what stands around the body, if that is not one interesting part of it.
        """
        _, default, arguments = PROGRAMS[program]
        self._template = default if template is None else template
        path = find_proxy(program)
        directory.mkdir()
        self._configuration = directory / "configuration"
        self._tls = tls
        self._values = {
            "directory": str(directory),
            "backend": backend,
            "host": HOST,
            "modules": str(_MODULES),
            "threads": str(APACHE_THREADS),
            "tls": f" ssl; ssl_certificate {make_certificate()}; ssl_certificate_key {make_certificate()}" * tls,
        }
        self._values["body"] = body.replace("{backend}", backend).replace("{directory}", str(directory))
        names = {"directory": directory, "configuration": self._configuration}
        # Programs that keep files of their own at home keep them here.
        home = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(directory))
        super().__init__(
            program,
            [argument.format(**names) for argument in arguments],
            directory / "log",
            program=path,
            environment={**os.environ, **home},
        )
        self.start()

    def _spawn(self) -> None:
        self._configuration.write_text(self._template.format(port=self.port, **self._values))
        super()._spawn()

    # As a server has it

    def connect(self, timeout: float = 10.0) -> socket.socket:
        sock = socket.create_connection((HOST, self.port), timeout=timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock if self.tls is None else self.tls.wrap_socket(sock)

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The context of a client that accepts its certificate; ``None`` if it speaks no TLS."""
        return insecure() if self._tls else None

    @property
    def host(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def origin(self) -> str:
        return f"http{'s' * self._tls}://{self.host}"

    def url(self, path: str) -> str:
        """Return the URL of a WebSocket at a path."""
        return f"ws{'s' * self._tls}://{self.host}{path}"
