"""Connections to an address: the name, TCP and TLS, each with a deadline."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from typing import Any, NamedTuple

from .addresses import Address
from .deadlines import Deadline


class Place(NamedTuple):
    """Where a socket can be connected to, as ``getaddrinfo()`` says it."""

    family: int
    #: The address with its port.
    address: tuple[Any, ...]


def look_up(address: Address, timeout: float) -> list[Place]:
    """Return the places of a host, which has at least one, within ``timeout`` seconds.

    The system's resolver has no timeout of its own, so that it runs in a thread, which is left behind if it is late.

    :raises OSError: the host is not known, or the resolver does not answer in time.
    """
    answers: queue.SimpleQueue[list[Place] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))
        else:
            answers.put([Place(family, place) for family, _, _, _, place in found])

    threading.Thread(target=ask, name="websocket_doctor resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError(f"the name is not resolved within {timeout:g} s") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def connect(places: list[Place], timeout: float) -> socket.socket:
    """Return a socket that is connected to the first place that answers, within ``timeout`` seconds.

    :raises OSError: none of them answers in time; the error is that of the last one.
    """
    deadline = Deadline(timeout)
    failure: OSError = OSError("the name has no address")
    for number, place in enumerate(places):
        sock = socket.socket(place.family, socket.SOCK_STREAM)
        # An address that leads nowhere must not use up the time of the next one.
        sock.settimeout(deadline.left / (len(places) - number))
        try:
            sock.connect(place.address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def start_tls(sock: socket.socket, address: Address, timeout: float, *, insecure: bool) -> ssl.SSLSocket:
    """Return a socket that speaks TLS, within ``timeout`` seconds; close the given one if TLS fails.

    ``insecure`` accepts any certificate.

    :raises OSError: TLS is not agreed on, or the certificate is not valid for the host.
    """
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # Servers that also speak HTTP/2 would choose it, and have no WebSockets there.
    context.set_alpn_protocols(["http/1.1"])
    sock.settimeout(timeout)
    try:
        return context.wrap_socket(sock, server_hostname=address.host.partition("%")[0])
    except OSError:
        sock.close()
        raise
