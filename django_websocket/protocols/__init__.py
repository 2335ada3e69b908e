"""The conversion of bytes to messages and back, in one file or folder for each version of the protocol.

No module of this folder uses sockets, clocks, threads, logging or Django.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..exceptions import HandshakeError
from .base import Message, Protocol, State
from .close_codes import CloseCode
from .http import Request


def choose(request: Request, protocols: Iterable[type[Protocol]]) -> Protocol:
    """Return the server side of a connection, in the first of ``protocols`` that the upgrade request speaks.

    :raises HandshakeError: the request speaks none of them, or is malformed.
    """
    version_headers: list[tuple[str, str]] = []
    for protocol in protocols:
        if protocol.matches(request):
            return protocol(request)
        version_headers += protocol.version_headers
    raise HandshakeError("the handshake is of no version that is spoken here", headers=version_headers)


__all__ = ["CloseCode", "Message", "Protocol", "Request", "State", "choose"]
