"""The content of messages: envelopes for members, and the wire format for other processes."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_websocket.groups.payload import Envelope, Payload, gap_envelope, unwrap
from django_websocket.groups.position import Position

POSITION = Position.make("0123abcd", 7)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)
SECRET = b"of this site"


@given(TEXT)
def test_an_envelope_of_text(text):
    assert unwrap(Payload("text", text).envelope("room", POSITION)) == Envelope("room", POSITION, text)


@given(JSON)
def test_an_envelope_of_json(obj):
    envelope = Payload("json", json.dumps(obj)).envelope("room", POSITION)
    assert unwrap(envelope) == unwrap(envelope.encode()) == Envelope("room", POSITION, obj)
    assert json.loads(envelope) == {"group": "room", "id": "0123abcd-7", "data": obj}


def test_an_object_that_looks_like_a_gap():
    """The data stand a level below."""
    envelope = unwrap(Payload("json", '{"gap": null}').envelope("room", POSITION))
    assert not envelope.is_gap
    assert envelope.data == {"gap": None}


@pytest.mark.parametrize("gap", [None, (3, 5)])
def test_a_gap(gap):
    text = gap_envelope("room", gap)
    assert json.loads(text) == {"group": "room", "gap": gap and list(gap)}
    assert unwrap(text) == Envelope("room", None, None, is_gap=True, gap=gap)


MALFORMED = [
    "",
    "hello",
    "[]",
    "1",
    "null",
    '"gap"',
    '["gap"]',
    "{}",
    '{"group": "room"}',
    '{"group": "room", "id": "0123abcd-7"}',
    '{"group": "room", "id": 7, "data": 1}',
    '{"group": "room", "id": null, "data": 1}',
    '{"group": "room", "id": "7", "data": 1}',
    '{"id": "0123abcd-7", "data": 1}',
    '{"gap": null}',
    '{"group": "room", "gap": 1}',
    '{"group": "room", "gap": []}',
    '{"group": "room", "gap": [1]}',
    '{"group": "room", "gap": {"a": 1}}',
    '{"group": "room", "gap": ["a", "b"]}',
    '{"group": "room", "gap": [1, 2, 3]}',
    '{"group": 1, "id": "0123abcd-7", "data": 1}',
    "[" * 100_000,
    b"\xff",
]


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: repr(text)[:50])
def test_what_is_no_envelope(text):
    with pytest.raises(ValueError, match=r"."):
        unwrap(text)


@given(JSON | st.dictionaries(st.sampled_from(["group", "id", "data", "gap"]), JSON))
def test_any_json_is_an_envelope_or_a_value_error(obj):
    text = json.dumps(obj)
    try:
        envelope = unwrap(text)
    except ValueError:
        return
    assert isinstance(envelope.group, str)
    assert envelope.is_gap or isinstance(envelope.id, Position)


@given(st.binary() | TEXT)
def test_any_message_is_an_envelope_or_a_value_error(message):
    try:
        unwrap(message)
    except ValueError:
        pass


def payloads():
    exclude = st.none() | st.just("0123abcd-1")
    return st.builds(Payload, st.sampled_from(["text", "json"]), TEXT, exclude) | st.builds(
        Payload, st.just("bytes"), st.binary(), exclude
    )


@pytest.mark.parametrize("secret", [None, SECRET])
@given(payload=payloads())
@example(payload=Payload("bytes", b"\n\n"))
def test_the_wire_format(secret, payload):
    assert Payload.from_bytes(payload.to_bytes(secret), secret) == payload


@pytest.mark.parametrize("raw", [b"", b"\n", b"t", b"x\nhello", b"t\xff\nhello", b"t\n\xff", b"hello"])
def test_a_malformed_wire_format(raw):
    with pytest.raises(ValueError, match=r"."):
        Payload.from_bytes(raw)


def test_a_signature_of_nobody():
    raw = Payload("text", "hello").to_bytes(SECRET)
    for forged in (raw[32:], raw[:-1], bytes([raw[0] ^ 1]) + raw[1:], b"", Payload("text", "hello").to_bytes(b"other")):
        with pytest.raises(ValueError, match="without the signature of this site"):
            Payload.from_bytes(forged, SECRET)


@given(raw=st.binary())
def test_any_bytes_are_a_payload_or_a_value_error(raw):
    for secret in (None, SECRET):
        try:
            Payload.from_bytes(raw, secret)
        except ValueError:
            pass
