"""What a connection has done, and how it has ended."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from ..protocols.base import CloseCode

#: Who has ended a connection: the peer by its Close, or this side; ``"network"`` if it ended without a Close.
ClosedBy: TypeAlias = Literal["client", "server", "network"]
#: Why a connection has ended. ``"normal"``: the peer or the view has closed it, or the peer has gone away. ``"error"``:
#: the view has failed, or the peer has broken the protocol. ``"limit"``: the peer has exceeded a limit of the settings.
#: The peer has not answered a ping (``"ping_timeout"``), or has not taken what was sent (``"send_timeout"``).
#: ``"logged_out"``: its session or user is no longer valid. ``"restart"``: the process is being stopped.
Cause: TypeAlias = Literal["normal", "error", "limit", "ping_timeout", "send_timeout", "logged_out", "restart"]


class ConnectionStats(NamedTuple):
    """The figures of a connection that has ended."""

    #: Seconds from the handshake to the end of the view.
    duration: float
    #: The messages of the peer, and how many were sent to it. Those of groups that wait for room count as sent.
    messages_received: int
    messages_sent: int
    #: The bytes of these messages: without headers, and before compression. Text counts as UTF-8.
    bytes_received: int
    bytes_sent: int
    #: The code of the first Close, whoever has sent it; 1005 if it had none. 1006: there was no Close.
    close_code: int
    closed_by: ClosedBy
    cause: Cause


def cause_of_failure(code: int) -> Cause:
    """Return the cause of the end of a connection that was failed with a code, for an error of the peer."""
    return "limit" if code in {CloseCode.POLICY_VIOLATION, CloseCode.MESSAGE_TOO_BIG} else "error"
