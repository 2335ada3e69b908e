"""Lists of extensions and of subprotocols are taken or refused with HandshakeError, in time that does not grow.

What a server agrees to is within what was offered, and the client who offered it takes it.
"""

from __future__ import annotations

import re
from functools import partial

from django_websocket.exceptions import HandshakeError
from django_websocket.protocols.base import Compression
from django_websocket.protocols.http import (
    MAX_LIST_SIZE,
    check_extensions,
    lowercase_tokens,
    parse_extensions,
    parse_head,
    parse_tokens,
)
from django_websocket.protocols.rfc6455.deflate import Parameters, check_answer, choose_offer, make_offer

from ..timing import check_linear

SEEDS = [
    bytes([options]) + value
    for options in (0x00, 0x3F, 0x56)
    for value in (
        b"permessage-deflate",
        b"permessage-deflate; client_max_window_bits",
        b"permessage-deflate; server_max_window_bits=10; client_max_window_bits=15, permessage-deflate",
        b'permessage-deflate;server_no_context_takeover;client_no_context_takeover;server_max_window_bits="9"',
        rb'permessage-deflate; server_max_window_bits="\1\0", foo; bar="b\a\r"',
        b"x-webkit-deflate-frame, foo; bar=1; baz",
        b"chat.v2, chat.v1,,superchat",
        b'a; b="\\c\\c\\c',
        b", " * 20,
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nX:\r\nX: 2",
    )
]
DICTIONARY = [b"permessage-deflate", b"; ", b", ", b"=", b'"', b"\\", b"_max_window_bits=8", b"_no_context_takeover"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def run(data: bytes) -> str:
    """Parse a header in all ways; the first byte chooses the parameters of compression."""
    if not data:
        return "nothing"
    options, value = data[0], data[1:].decode("latin-1")
    compression = Compression(window_bits=9 + (options & 7) % 7, context_takeover=bool(options & 8))
    check_linear(partial(read, value * 200, compression), len(value) * 200)
    return read(value, compression)


def read(value: str, compression: Compression) -> str:
    """Parse a header with every function that parses headers, and return the kinds of their outcomes."""
    assert all(part == part.strip(" \t").lower() for part in lowercase_tokens(value))
    return f"{spoken(value)}; {extended(value)}; {agreed(value, compression)}; {answered(value)}"


def spoken(value: str) -> str:
    """Parse a list of subprotocols."""
    try:
        items = parse_tokens(value, "Sec-WebSocket-Protocol")
    except HandshakeError as error:
        return str(error)
    assert len(set(items)) == len(items) <= 32
    assert all(_TOKEN.fullmatch(item) for item in items)
    # Only commas, and the space around them, are dropped.
    assert ",".join(items) == re.sub(r"[ \t]*,[, \t]*", ",", value.strip(", \t"))
    return "spoken"


def extended(value: str) -> str:
    """Parse a list of extensions, which succeeds if and only if the list is well-formed."""
    try:
        check_extensions(value)
    except HandshakeError as error:
        try:
            parse_extensions(value)
        except HandshakeError as again:
            assert str(again) == str(error)
            return str(error)
        raise AssertionError("what is malformed was parsed") from None
    parts = parse_extensions(value)
    for name, pairs in parts:
        assert _TOKEN.fullmatch(name)
        assert all(_TOKEN.fullmatch(key) for key, _ in pairs)
        assert all(given is None or _TOKEN.fullmatch(given) for _, given in pairs)
    # The parsed list, written again, is parsed to the same.
    spelled = (
        "; ".join([name, *(key if given is None else f"{key}={given}" for key, given in pairs)])
        for name, pairs in parts
    )
    plain = ", ".join(spelled)
    assert len(plain) > MAX_LIST_SIZE or parse_extensions(plain) == parts
    return "extended"


def agreed(value: str, compression: Compression) -> str:
    """Answer the header as a server that got it as an offer, and check it as a client that got it as an answer."""
    offer = make_offer(compression)
    try:
        taken = check_answer(value, offer)
    except HandshakeError as error:
        outcome = str(error)
    else:
        check_agreement(taken, offer)
        outcome = str(taken)
    try:
        chosen = choose_offer(value, compression)
    except HandshakeError:
        return outcome
    if chosen is None:
        return f"{outcome}; none"
    offers = [
        Parameters.parse(pairs, offer=True)
        for name, pairs in parse_extensions(value)
        if name == "permessage-deflate" and is_offer(pairs)
    ]
    assert any(is_agreement(chosen, offer) for offer in offers), f"{chosen} is no answer to {value}"
    return f"{outcome}; {chosen}"


def is_offer(pairs: list[tuple[str, str | None]]) -> bool:
    """Return whether these are the parameters of an offer."""
    try:
        Parameters.parse(pairs, offer=True)
    except ValueError:
        return False
    return True


def is_agreement(answer: Parameters, offer: Parameters) -> bool:
    """Return whether a client that made the ``offer`` accepts the ``answer``."""
    try:
        check_agreement(check_answer(str(answer), offer), offer)
    except (AssertionError, HandshakeError):
        return False
    return True


def check_agreement(answer: Parameters, offer: Parameters) -> None:
    """Check an answer against the offer (RFC 7692 section 7.1)."""
    assert answer.server_no_context_takeover or not offer.server_no_context_takeover
    if offer.server_max_window_bits is not None:
        assert answer.server_max_window_bits is not None
        assert 8 <= answer.server_max_window_bits <= offer.server_max_window_bits
    if answer.client_max_window_bits is not None:
        assert offer.client_max_window_bits is not None
        assert 8 <= answer.client_max_window_bits <= offer.client_max_window_bits


def answered(value: str) -> str:
    """Parse the head of a response."""
    try:
        status, headers = parse_head(value)
    except HandshakeError as error:
        return str(error)
    assert 0 <= status <= 999
    assert all(_TOKEN.fullmatch(name) and name == name.lower() for name in headers)
    return f"{min(len(headers), 3)} headers"
