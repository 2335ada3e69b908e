"""Control frames are limited in rate."""

from __future__ import annotations

import logging

import pytest

from django_websocket.connection.receiving import (
    CONTROL_BURST,
    CONTROL_RATE,
)
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455.frames import Opcode

from .line import START, connect, records

# Control frames, which are to be few


PING = b"\x89\x80\0\0\0\0"


TEXT_X = b"\x81\x81\0\0\0\0x"


def test_control_frames_come_in_bursts():
    ws, line = connect()
    line.answering = False
    for second in range(1, 10):
        line.feed(PING * CONTROL_RATE, at=START + second)
    line.feed(PING * CONTROL_BURST, at=START + 12)
    line.feed(TEXT_X, at=START + 12)
    assert ws.wait() == "x"


@pytest.mark.parametrize("frame", [PING, b"\x8a\x80\0\0\0\0"], ids=["ping", "pong"])
@pytest.mark.parametrize("seconds", [0, 3])
def test_a_flood_of_control_frames(caplog, frame, seconds):
    ws, line = connect()
    line.answering = False
    line.feed(frame, at=START)
    line.feed(TEXT_X + frame * (CONTROL_BURST + seconds * CONTROL_RATE), at=START + seconds)
    assert ws.wait() == "x"
    assert ws.wait() is None
    assert (ws.close_code, ws.close_reason) == (1008, "too many control frames")
    assert line.frames[-1] == (Opcode.CLOSE, b"\x03\xf0too many control frames")
    assert records(caplog) == [(logging.WARNING, "WebSocket /echo/ failed with 1008: too many control frames")]


@pytest.mark.parametrize("kind", [Hixie75, Hixie76])
@pytest.mark.parametrize("frame", [b"\x01\xff", b"\x7fx\xff", b"\x80\x00", b"\x81\x01x"])
def test_a_flood_of_frames_that_say_nothing(kind, frame):
    ws, line = connect(kind)
    line.feed(b"\0x\xff" + frame * CONTROL_BURST + b"\0y\xff")
    assert (ws.wait(), ws.wait()) == ("x", "y")
    line.feed(frame)
    assert ws.wait() is None
    assert (ws.close_code, ws.close_reason) == (1008, "too many control frames")


def test_a_view_that_was_busy_finds_many_control_frames():
    """More than one read takes, and no more a second than there may be."""
    ws, line = connect()
    line.feed(PING)
    assert ws.read() is None
    line.now += 600
    line.feed(PING * 600 * CONTROL_RATE + TEXT_X)
    assert ws.wait() == "x"
    line.feed(PING * (CONTROL_BURST - 1) + TEXT_X)
    assert ws.wait() == "x"
    line.feed(PING)
    assert ws.wait() is None
    assert ws.close_code == 1008


def test_a_flood_that_ends_with_a_mistake_is_failed_for_the_mistake():
    ws, line = connect()
    line.answering = False
    line.feed(PING * (CONTROL_BURST + 1) + b"\xff\xff")
    assert ws.wait() is None
    assert ws.close_code == 1002
