"""Fixtures of the tests of servers."""

import pytest

from ..transports.pairs import tcp_pair, tls_pair
from .reading import PATIENCE


@pytest.fixture(params=["plain", "tls"])
def pair(request):
    """A server's socket, and its client's."""
    if request.param == "tls":
        ours, theirs = tls_pair(request.getfixturevalue("certificate"))
    else:
        ours, theirs = tcp_pair()
    theirs.settimeout(PATIENCE)
    with ours, theirs:
        yield ours, theirs
