"""What a connection has done, and how it has ended."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

from ..protocols.base import Protocol
from ..protocols.close_codes import CloseCode

#: Who has ended a connection: the peer by its Close, or this side; ``"network"`` if it ended without a Close.
ClosedBy: TypeAlias = Literal["client", "server", "network"]
#: Why a connection has ended. ``"normal"``: the peer or the view has closed it, or the peer has gone away. ``"error"``:
#: the view has failed, or the peer has broken the protocol. ``"limit"``: the peer has exceeded a limit of the settings.
#: The peer has not answered a ping (``"ping_timeout"``), or has not taken what was sent (``"send_timeout"``).
#: ``"logged_out"``: its session or user is no longer valid. ``"restart"``: the process is being stopped.
Cause: TypeAlias = Literal["normal", "error", "limit", "ping_timeout", "send_timeout", "logged_out", "restart"]

#: The close code of a connection that has ended, who has ended it, and why.
End: TypeAlias = tuple[int, ClosedBy, Cause]

#: The close codes of who finds that the other has broken the protocol.
_PROTOCOL_ERRORS: Final = frozenset({CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_DATA})
#: The close codes with which a connection is failed because the peer has exceeded a limit. Applications use them for
#: other reasons too.
_LIMITS: Final = frozenset({CloseCode.POLICY_VIOLATION, CloseCode.MESSAGE_TOO_BIG})


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

    @property
    def is_faulty(self) -> bool:
        """Whether somebody has broken the protocol, or the peer a limit."""
        return is_fault(self.close_code, self.cause)


def is_fault(code: int, cause: Cause) -> bool:
    """Return whether a connection with this end has ended because of a fault; see :attr:`ConnectionStats.is_faulty`."""
    return cause == "limit" or code in _PROTOCOL_ERRORS


def cause_of_failure(code: int) -> Cause:
    """Return the cause of the end of a connection that was failed with a code, for an error of the peer."""
    return "limit" if code in _LIMITS else "error"


def find_end(protocol: Protocol, own: tuple[int | None, Cause] | None, requested: tuple[int, str, Cause] | None) -> End:
    """Return the end of a connection whose ``protocol`` is closed.

    ``own`` is how this side has ended it: the code of its Close, ``None`` if it has dropped the connection without one,
    and the cause. It is ``None`` if the peer was the first. ``requested`` is the Close that was still to be sent, if
    there was one.
    """
    code = protocol.close_code or CloseCode.ABNORMAL_CLOSURE
    if own is not None:
        own_code, cause = own
        if own_code is not None and (code != CloseCode.GOING_AWAY or cause != "normal"):
            return own_code, "server", cause
        # Nobody answers a Close with 1001: a page that is left has sent it before the view has ended.
        if code == CloseCode.ABNORMAL_CLOSURE:
            return code, "network", cause
    if protocol.error is not None:
        return code, "server", cause_of_failure(code)
    if code != CloseCode.ABNORMAL_CLOSURE:
        return code, "client", "normal"
    if requested is not None:
        # The Close could not be sent: the process was being stopped, or the peer did not read.
        own_code, _, cause = requested
        return own_code, "server", cause
    return code, "network", "normal"
