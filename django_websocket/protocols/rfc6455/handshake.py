"""RFC 6455: the opening handshake of versions 13, 8 and 7 (section 4)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import ClassVar, Final

from ...exceptions import HandshakeError
from ..base import State
from ..http import Request, check_extensions, check_upgrade, header_lines, parse_tokens, reflectable, tokens
from .deflate import Deflate, check_answer, choose_offer, make_offer
from .protocol import FramedProtocol

#: Section 1.3
GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class RFC6455(FramedProtocol):
    """The WebSocket protocol of RFC 6455.

    Versions 8 and 7 are the drafts hybi-08 to hybi-12 and hybi-07, whose clients name their origin in
    Sec-WebSocket-Origin.
    """

    versions = (13, 8, 7)
    version_headers: ClassVar[tuple[tuple[str, str], ...]] = (("Sec-WebSocket-Version", "13, 8, 7"),)

    # Opening handshake (section 4)

    @classmethod
    def matches(cls, request: Request) -> bool:
        """Tell whether the request has Sec-WebSocket-Version or Sec-WebSocket-Key."""
        return "sec-websocket-version" in request.headers or "sec-websocket-key" in request.headers

    @property
    def origin(self) -> str | None:
        """The Origin the client has named: before version 13 in Sec-WebSocket-Origin, by some clients in both."""
        origin = super().origin
        return self.request.headers.get("sec-websocket-origin", origin) if self.version < 13 else origin

    def _check_request(self) -> None:
        """Check the client's request (section 4.2.1)."""
        request = self.request
        check_upgrade(request)
        version = request.header("sec-websocket-version").strip(" \t")
        if version not in map(str, self.versions):
            raise HandshakeError("the Sec-WebSocket-Version is missing or unsupported", headers=self.version_headers)
        self.version = int(version)
        if self.version < 13 and "origin" in request.headers and self.origin != request.headers["origin"]:
            raise HandshakeError("Origin and Sec-WebSocket-Origin differ")
        _check_key(request.header("sec-websocket-key").strip(" \t"))
        check_extensions(request.header("sec-websocket-extensions"))
        self.offered_subprotocols = parse_tokens(request.header("sec-websocket-protocol"), "Sec-WebSocket-Protocol")

    def accept(self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Accept the connection (section 4.2.2)."""
        lines = self._check_accept(subprotocol, headers)
        accept = _accept_value(self.request.header("sec-websocket-key").strip(" \t"))
        if self.compression is not None:
            agreed = choose_offer(self.request.header("sec-websocket-extensions"), self.compression)
            if agreed is not None:
                self._deflate = Deflate(agreed, self.compression, client=False)
                lines = f"Sec-WebSocket-Extensions: {agreed}\r\n{lines}"
        if subprotocol is not None:
            lines = f"Sec-WebSocket-Protocol: {subprotocol}\r\n{lines}"
        self.outgoing.append(
            "HTTP/1.1 101 Switching Protocols\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n"
            f"{lines}\r\n".encode("ascii")
        )
        self.state = State.OPEN

    def connect(self) -> None:
        """Ask for the connection (section 4.1).

        :raises ValueError: something that a handshake cannot carry.
        """
        request = self.request
        extra = {name.title(): value for name, value in request.headers.items()}
        header_lines(extra.items())
        headers = {
            "Host": reflectable(extra.pop("Host", request.host or ""), "Host"),
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": str(self.version),
        }
        if self.offered_subprotocols:
            headers["Sec-WebSocket-Protocol"] = ", ".join(self.offered_subprotocols)
            if parse_tokens(headers["Sec-WebSocket-Protocol"], "Sec-WebSocket-Protocol") != self.offered_subprotocols:
                raise HandshakeError("the subprotocols to offer are malformed")
        if self.compression is not None:
            headers["Sec-WebSocket-Extensions"] = str(make_offer(self.compression))
        if self.version < 13 and "Origin" in extra:
            extra["Sec-WebSocket-Origin"] = extra.pop("Origin")
        headers |= extra
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        target = reflectable(request.target, "request target")
        self.outgoing.append(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii"))
        self.request = replace(request, headers={name.lower(): value for name, value in headers.items()})

    def _check_response(self, status: int, headers: Mapping[str, str]) -> None:
        """Check the server's answer (section 4.1)."""
        if status != 101:
            raise HandshakeError(f"the server refused with status {status}", status=status)
        if tokens(headers.get("upgrade", "")) != {"websocket"} or "upgrade" not in tokens(
            headers.get("connection", "")
        ):
            raise HandshakeError("the server's answer is no upgrade to WebSocket")
        expected = _accept_value(self.request.header("sec-websocket-key"))
        if not hmac.compare_digest(headers.get("sec-websocket-accept", "").encode(), expected.encode()):
            raise HandshakeError("the server's Sec-WebSocket-Accept is wrong")
        if "sec-websocket-extensions" in headers:
            if self.compression is None:
                raise HandshakeError("the server uses an extension that was not offered")
            agreed = check_answer(headers["sec-websocket-extensions"], make_offer(self.compression))
            self._deflate = Deflate(agreed, self.compression, client=True)
        subprotocol = headers.get("sec-websocket-protocol")
        if subprotocol is not None and subprotocol not in self.offered_subprotocols:
            raise HandshakeError("the server uses a subprotocol that was not offered")
        self.subprotocol = subprotocol
        self.state = State.OPEN


def _check_key(key: str) -> None:
    """Check Sec-WebSocket-Key: 16 bytes in base64 (section 4.2.1).

    :raises HandshakeError: it is something else.
    """
    try:
        valid = len(key) == 24 and len(base64.b64decode(key.encode("ascii"), validate=True)) == 16
    except (UnicodeEncodeError, binascii.Error):
        valid = False
    if not valid:
        raise HandshakeError("the Sec-WebSocket-Key is missing or malformed")


def _accept_value(key: str) -> str:
    """Give the Sec-WebSocket-Accept for a key (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()).decode()
