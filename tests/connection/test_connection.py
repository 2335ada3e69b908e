"""Whole conversations over a socket pair."""

from __future__ import annotations

import socket
import struct
import time

import pytest

from django_websocket.exceptions import ConnectionClosed
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455

from ..running import Running
from .line import PATIENCE

# Over a socket pair


@pytest.mark.parametrize("kind", [RFC6455, Hixie76, Hixie75])
def test_a_conversation(live, kind):
    ws, browser = live(kind)
    got = []

    def view():
        for message in ws:
            got.append(message)
            ws.send(message.upper())
        ws.end()

    running = Running(view)
    for message in ("a", "b" * 200, "c" * 200_000):
        browser.send(message)
        assert browser.wait() == message.upper()
    browser.close()
    if kind is Hixie75:
        browser.sock.shutdown(socket.SHUT_WR)
    running.result()
    assert got == ["a", "b" * 200, "c" * 200_000]
    assert ws.close_code == (1000 if kind is RFC6455 else 1005)


def test_a_peer_that_vanishes(live):
    ws, browser = live()
    browser.send("last")
    browser.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    browser.sock.close()
    assert list(ws) == ["last"]
    assert ws.close_code == 1006
    ws.end()


def send_for_ever(ws, message):
    while True:
        ws.send(message)


def test_a_peer_that_stops_reading(live):
    ws, _ = live(send_timeout=0.2)
    began = time.monotonic()
    with pytest.raises(ConnectionClosed) as caught:
        send_for_ever(ws, b"x" * 1_000_000)
    assert 0.2 <= time.monotonic() - began < PATIENCE
    assert caught.value.code == 1006


def test_send_to_a_client_that_has_closed_and_gone(live):
    ws, browser = live()
    browser.close(4006)
    browser.sock.close()
    with pytest.raises(ConnectionClosed) as caught:
        send_for_ever(ws, b"x" * 1000)
    assert caught.value.code == 4006
