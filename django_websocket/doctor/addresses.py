"""The address of a WebSocket, as somebody types it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

#: Whether each scheme uses TLS. People copy the address of the page as well, which is meant as that of its WebSocket.
_SCHEMES: Final = {"ws": False, "wss": True, "http": False, "https": True}
_HOST: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*|[0-9A-Fa-f:][0-9A-Fa-f:.]*(?:%[A-Za-z0-9._-]+)?", re.ASCII)


@dataclass(frozen=True)
class Address:
    """An address that was understood."""

    secure: bool
    #: The name or the number of the host, without brackets.
    host: str
    port: int
    #: Path and query, percent-encoded.
    target: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Return the address that a text denotes.

        :raises ValueError: the text is not understood; the error says what is wrong with it.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            if not host.isascii():
                host = host.encode("idna").decode()
        except ValueError as error:
            raise ValueError(f"{url!r} is not understood: {error}") from error
        if parts.scheme not in _SCHEMES:
            raise ValueError(f"{url!r} has to begin with ws:// or wss://")
        if parts.username is not None:
            raise ValueError(f"{url!r} has a user name, which no browser sends with a WebSocket")
        if not _HOST.fullmatch(host) or port == 0:
            raise ValueError(f"{url!r} names no host")
        secure = _SCHEMES[parts.scheme]
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        query = quote(parts.query, safe="/%:@!$&'()*+,;=~?")
        return cls(secure, host, port or (443 if secure else 80), f"{path}?{query}" if query else path)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def bare_host(self) -> str:
        """The host as it stands in an address, without the port."""
        # The zone of a link-local address means something on this machine only.
        return f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.host

    @property
    def netloc(self) -> str:
        """The ``Host`` of a request: with the port unless it is that of the scheme, as browsers send it."""
        return self.bare_host if self.port == (443 if self.secure else 80) else f"{self.bare_host}:{self.port}"

    @property
    def origin(self) -> str:
        """The origin of a page with the same host and port."""
        return self.origin_with(secure=self.secure)

    def origin_with(self, *, secure: bool, port: bool = True) -> str:
        """Return the origin of a page on the same host, with another scheme perhaps, or without the port."""
        return f"http{'s' * secure}://{self.netloc if port else self.bare_host}"

    @property
    def url(self) -> str:
        """The address as a browser's WebSocket takes it."""
        return f"ws{'s' * self.secure}://{self.netloc}{self.target}"
