import socket
from contextlib import contextmanager

import pytest

from django_websocket.doctor.clients import Client
from django_websocket.doctor.exchange import Exchange
from django_websocket.doctor.reports import Report
from django_websocket.exceptions import UnsupportedFeature
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455

from .looking import SHORT, look, read_on
from .peers import PATIENCE, opens, peer


def ends(code=None, reason=""):
    """Return a handler that ends each WebSocket at once: with a Close, or without one."""

    def behave(sock, protocol):
        if code is None:
            sock.close()
        else:
            protocol.close(code, reason)
            sock.sendall(protocol.data_to_send())
            sock.recv(4096)

    return opens(behave)


@pytest.mark.parametrize(
    ("handle", "verdict", "text"),
    [
        (ends(), "cut-when-idle", "cut without a Close after "),
        (ends(1002), "error", "closed with 1002 after "),
        (ends(1012, "bye"), "restarting", "closed with 1012 (bye) after "),
        (ends(4401), "login", "closed with 4401 after "),
        (ends(1000), "ok", "closed with 1000 after "),
    ],
)
def test_a_websocket_that_ends_by_itself(handle, verdict, text):
    word, checks = look(handle)
    assert word == verdict
    assert checks["idle"].status == ("warn" if verdict == "ok" else "fail")
    assert checks["idle"].message.startswith(text)
    assert checks["ping"].status == "skip"
    assert "close" not in checks


@contextmanager
def exchanging(behave, timeout=SHORT):
    """Open a WebSocket to a peer; return the exchange, and its report."""
    with peer(opens(behave)) as address:
        sock = socket.create_connection((address.host, address.port), PATIENCE)
        protocol = RFC6455(Request({}, "GET", "/", address.netloc), client=True)
        with Client(sock, protocol) as client:
            assert client.open(PATIENCE).status == 101
            report = Report()
            yield Exchange(client, report, timeout), report


def test_what_is_not_answered():
    """Guards the deadlines of our ping, our message and our Close, which are no verdict: the view may be busy."""
    with exchanging(read_on) as (exchange, report):
        exchange.check_ping()
        assert exchange.check_idle(0) == "ok"
        exchange.check_echo("hello")
        exchange.check_close()
    assert {check.status for check in report.checks} == {"warn"}
    texts = [
        "a ping is not",
        "open after ",
        "no message comes within 0.05 s",
        "our Close is not answered within 0.05 s",
    ]
    for check, text in zip(report.checks, texts, strict=True):
        assert check.message.startswith(text)


def test_another_message_comes():
    def behave(sock, protocol):
        while not protocol.receive(sock.recv(4096)):
            pass
        protocol.send("another")
        sock.sendall(protocol.data_to_send())

    with exchanging(behave, 1) as (exchange, report):
        exchange.check_echo("hello")
    assert report.checks[0].status == "warn"
    assert report.checks[0].message == "the answer is another message, of 7 characters or bytes"


def test_a_message_that_cannot_be_sent(monkeypatch):
    def fail(*_, **__):
        raise UnsupportedFeature("this version has no such messages")

    monkeypatch.setattr(RFC6455, "send", fail)
    with exchanging(read_on) as (exchange, report):
        exchange.check_echo("hello")
    assert report.checks[0].status == "skip"


def test_our_close_is_answered_by_the_end():
    def behave(sock, _):
        # A Close has the opcode 8.
        while sock.recv(4096)[:1] not in {b"\x88", b""}:
            pass
        sock.close()

    with exchanging(behave, PATIENCE) as (exchange, report):
        exchange.check_close()
    assert report.checks[0].message == "our Close is answered by the end of the connection only"
