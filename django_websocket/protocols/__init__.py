"""Bytes to messages and back: one file for each version of the protocol.

Nothing below here knows a socket, the time, a thread, a log or Django.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..exceptions import HandshakeError
from .base import CloseCode, Message, Protocol, State
from .http import Request
from .rfc6455.masking import MASKING


def choose(request: Request, protocols: Iterable[type[Protocol]]) -> Protocol:
    """Begin the server side of the first of ``protocols`` that the upgrade request speaks.

    :raises HandshakeError: it speaks none of them, or is malformed.
    """
    version_headers: list[tuple[str, str]] = []
    for protocol in protocols:
        if protocol.matches(request):
            return protocol(request)
        version_headers += protocol.version_headers
    raise HandshakeError("the handshake is of no version that is spoken here", headers=version_headers)


__all__ = ["MASKING", "CloseCode", "Message", "Protocol", "Request", "State", "choose"]
