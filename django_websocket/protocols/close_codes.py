"""Close codes and reasons: what they are called, and which of them may be sent (RFC 6455 sections 5.5 and 7.4)."""

from __future__ import annotations

import enum
from typing import Final

#: Bytes of UTF-8 in a close reason: the 125 of a control frame, less two for the code (RFC 6455 section 5.5).
MAX_CLOSE_REASON: Final = 123


class CloseCode(enum.IntEnum):
    """Close codes (RFC 6455 section 7.4.1, and the IANA registry of section 11.7)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RECEIVED = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


def check_close(code: int, reason: str) -> bytes:
    """Check the code and the reason of a Close to send, and return ``reason`` as UTF-8 (RFC 6455 sections 5.5 and 7.4).

    :raises TypeError: ``code`` is no ``int``, or ``reason`` no ``str``.
    :raises ValueError: an endpoint must not send ``code``, or ``reason`` is over 123 bytes.
    """
    if not isinstance(code, int) or isinstance(code, bool) or not isinstance(reason, str):
        raise TypeError("close() takes an int and a str")
    if not (is_close_code(code) and code != CloseCode.MANDATORY_EXTENSION):
        raise ValueError(f"not a close code that may be sent: {code}")
    encoded = reason.encode()
    if len(encoded) > MAX_CLOSE_REASON:
        raise ValueError(f"a close reason has at most {MAX_CLOSE_REASON} bytes of UTF-8")
    return encoded


def is_close_code(code: int) -> bool:
    """Return whether ``code`` may stand in a Close frame (RFC 6455 section 7.4, and IANA's 1012 to 1014)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
