"""draft-hixie-thewebsocketprotocol-76, alias draft-ietf-hybi-thewebsocketprotocol-00.

It adds to hixie-75 a challenge in the opening handshake, and a closing handshake.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Final

from ..exceptions import HandshakeError
from .base import State
from .close_codes import CloseCode
from .hixie75 import Hixie75
from .http import Request

#: Bytes of the challenge that follow the head of the request.
KEY3_SIZE: Final = 8
#: Bytes of the response that follow the head of the answer.
RESPONSE_SIZE: Final = 16
#: Digits of a key that are parsed. ``int()`` takes quadratic time. The number of a key is divided by its number of
#: spaces, and no header is long enough for the spaces that would bring a longer number below 2**32.
MAX_DIGITS: Final = 20

_NO_DIGIT: Final = re.compile("[^0-9]+")
# The characters that are inserted into a key: neither digits nor spaces (section 4.1, step 20).
_JUNK: Final = "".join(map(chr, (*range(0x21, 0x30), *range(0x3A, 0x7F))))
_RANDOM: Final = secrets.SystemRandom()


class Hixie76(Hixie75):
    """The WebSocket protocol of draft-hixie-thewebsocketprotocol-76, as Chrome 6 and Safari 5.0.1 speak it.

    Eight bytes of the challenge follow the head of the request. A server answers without waiting for them, because some
    proxies hold them back until it has answered: :meth:`accept` sends the head of the answer. The first eight bytes
    that :meth:`receive` takes are the rest of the challenge; then the response is sent and the connection is open.
    """

    versions = (76,)
    header_prefix = "Sec-WebSocket-"
    reason_phrase = "WebSocket Protocol Handshake"
    # Some clients count the eight bytes as a body, most do not.
    request_body = str(KEY3_SIZE)
    closing_frame = b"\xff\x00"

    #: The challenge (section 5.2, step 8); on the server side without its last eight bytes, which are yet to arrive.
    _challenge: bytes
    #: Whether the head of the server's answer was received (client side).
    _answered: bool = False

    # Opening handshake

    @classmethod
    def matches(cls, request: Request) -> bool:
        """Return whether the request has Sec-WebSocket-Key1 or Sec-WebSocket-Key2."""
        return "sec-websocket-key1" in request.headers or "sec-websocket-key2" in request.headers

    def _check_request(self) -> None:
        """Check the client's request and solve the part of the challenge that is in its head (section 5.2)."""
        super()._check_request()
        # The drafts hybi-01 to hybi-03 have the same handshake with other frames. Their clients send this header.
        if self.request.header("sec-websocket-draft").strip(" \t") not in ("", "0"):
            raise HandshakeError("the Sec-WebSocket-Draft is unsupported")
        names = ("Sec-WebSocket-Key1", "Sec-WebSocket-Key2")
        self._challenge = b"".join(_solve(self.request.header(name.lower()), name) for name in names)

    def accept(self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Accept the connection (section 5.2); it is open once the client's eight bytes are received."""
        self._send_response(subprotocol, headers)

    def connect(self) -> None:
        """Send the request (section 4.1); see :meth:`Hixie75.connect`.

        The draft asks for the header fields in random order, so that servers do not depend on an order. Their order is
        fixed here.
        """
        (key1, number1), (key2, number2) = _make_key(), _make_key()
        key3 = secrets.token_bytes(KEY3_SIZE)
        self._challenge = number1.to_bytes(4, "big") + number2.to_bytes(4, "big") + key3
        self._send_request({"Sec-WebSocket-Key1": key1, "Sec-WebSocket-Key2": key2})
        self.outgoing.append(key3)

    def _check_response(self, status: int, headers: Mapping[str, str]) -> None:
        """Check the head of the server's answer (section 4.1); its Connection may be in any case."""
        if headers.get("connection", "").lower() == "upgrade":
            headers = {**headers, "connection": "Upgrade"}
        super()._check_response(status, headers)
        self._answered = True

    def _receive_handshake(self, data: bytes) -> bytes | None:
        """Take the rest of the handshake: eight bytes from a client; a head and sixteen bytes from a server."""
        if self.client and not self._answered:
            rest = self._receive_head(data)
            if not rest:
                return None
            data = rest
        if not data:
            self._finish(CloseCode.ABNORMAL_CLOSURE, error=HandshakeError("the peer hung up in the handshake"))
            return None
        missing = (RESPONSE_SIZE if self.client else KEY3_SIZE) - len(self._head)
        self._head += data[:missing]
        if len(data) < missing:
            return None
        if not self.client:
            self.outgoing.append(_respond(self._challenge + self._head))
        elif not hmac.compare_digest(_respond(self._challenge), self._head):
            self._finish(CloseCode.ABNORMAL_CLOSURE, error=HandshakeError("the server's response is wrong"))
            return None
        self.state = State.OPEN
        return data[missing:]


def _solve(key: str, name: str) -> bytes:
    """Return the number that a key encodes, as 32 bits (section 5.2, steps 4 to 7).

    :raises HandshakeError: ``key`` encodes no number, so that the client does not speak the draft.
    """
    digits, spaces = _NO_DIGIT.sub("", key), key.count(" ")
    if spaces and 0 < len(digits) <= MAX_DIGITS:
        number, remainder = divmod(int(digits), spaces)
        if not remainder and number < 1 << 32:
            return number.to_bytes(4, "big")
    raise HandshakeError(f"the {name} is missing or malformed")


def _make_key() -> tuple[str, int]:
    """Return a random key and the number that it encodes (section 4.1, steps 16 to 22)."""
    spaces = _RANDOM.randint(1, 12)
    number = _RANDOM.randint(0, (2**32 - 1) // spaces)
    key = list(str(number * spaces))
    for _ in range(_RANDOM.randint(1, 12)):
        key.insert(_RANDOM.randint(0, len(key)), _RANDOM.choice(_JUNK))
    for _ in range(spaces):
        # A space is never first or last, because HTTP strips it there.
        key.insert(_RANDOM.randint(1, len(key) - 1), " ")
    return "".join(key), number


def _respond(challenge: bytes) -> bytes:
    """Return the response to a whole challenge (section 5.2, step 9)."""
    return hashlib.md5(challenge, usedforsecurity=False).digest()
