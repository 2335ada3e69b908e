import socket
import threading

import pytest

from django_websocket.doctor.addresses import Address
from django_websocket.doctor.dialing import Place, connect, look_up, start_tls

from .peers import HOST, peer, says


def place(port, host=HOST):
    return Place(socket.AF_INET, (host, port))


@pytest.fixture
def closed_port():
    """Return a port on which nothing listens while the test runs."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        yield sock.getsockname()[1]


def test_look_up():
    assert look_up(Address.parse(f"ws://{HOST}:8000/"), 5) == [place(8000)]


@pytest.mark.parametrize("error", [OSError("not known"), UnicodeError("label too long")])
def test_a_name_that_is_not_known(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(OSError, match=str(error)):
        look_up(Address.parse("ws://nowhere.invalid/"), 5)


def test_a_resolver_that_does_not_answer(monkeypatch):
    answer = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer.wait(10) and [])
    with pytest.raises(TimeoutError, match=r"not resolved within 0\.01 s"):
        look_up(Address.parse("ws://slow.invalid/"), 0.01)
    answer.set()


def test_the_next_place_is_tried(closed_port):
    with peer(says("")) as address, connect([place(closed_port), place(address.port)], 5) as sock:
        assert sock.getpeername()[1] == address.port


def test_nothing_listens(closed_port):
    with pytest.raises(ConnectionRefusedError):
        connect([place(closed_port)], 5)
    with pytest.raises(OSError, match="has no address"):
        connect([], 5)


def test_no_tls():
    with peer(says("HTTP/1.1 400 Bad\n\n")) as address:
        sock = connect([place(address.port)], 5)
        with pytest.raises(OSError, match=r"SSL|EOF|reset"):
            start_tls(sock, address, 5, insecure=True)
        assert sock.fileno() == -1
