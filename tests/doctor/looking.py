"""Examinations of the peers of these tests."""

from django_websocket.doctor.addresses import Address
from django_websocket.doctor.examination import Options, examine

from .peers import peer

#: Seconds of silence that are enough for what a peer does at once.
SHORT = 0.05


def look(handle, *, path="/room/", **options):
    """Examine a peer; return the word of the verdict, and the checks by their ids."""
    with peer(handle) as there:
        address = Address(there.secure, there.host, there.port, path)
        report = examine(address, Options(**{"idle": SHORT, "versions": (13,), "timeout": 5, **options}))
    assert report.url == address.url
    return report.verdict.word, {check.id: check for check in report.checks}


def read_on(sock, _):
    """Read what comes, and answer nothing, until the other side has hung up."""
    while sock.recv(65536):
        pass
