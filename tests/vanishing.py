"""A peer that vanishes, or a skipped test where the system cannot do that."""

import pytest

from lab import vanishing


def vanish(sock):
    """Drop every packet that arrives for a TCP socket; see :func:`lab.vanishing.vanish`."""
    try:
        vanishing.vanish(sock)
    except NotImplementedError as error:
        pytest.skip(str(error))
