"""The values of labels."""

import pytest

from django_websocket.prometheus.labels import code_label, route_label
from django_websocket.protocols.close_codes import CloseCode

from .figures import ROUTE, a_request


@pytest.mark.parametrize(
    ("request_", "label"),
    [(a_request(), ROUTE), (a_request(""), "/"), (a_request(None), "unknown")],
    ids=["found", "root of the site", "not found"],
)
def test_route(request_, label):
    assert route_label(request_) == label


def test_route_of_a_match_without_one():
    """Guards a ResolverMatch that a project has made itself."""
    request = a_request()
    request.resolver_match.route = None
    assert route_label(request) == "unknown"


@pytest.mark.parametrize(
    ("code", "closed_by", "label"),
    [
        (1000, "client", "1000"),
        (1005, "client", "1005"),
        (1006, "network", "1006"),
        (1015, "client", "1015"),
        (3000, "client", "3xxx"),
        (4999, "client", "4xxx"),
        (4401, "server", "4401"),
        (CloseCode.POLICY_VIOLATION, "server", "1008"),
        (2999, "client", "other"),
        (5000, "client", "other"),
    ],
)
def test_code(code, closed_by, label):
    assert code_label(code, closed_by) == label


def test_a_client_makes_few_values():
    """Guards Prometheus, which keeps a time series for each value: here is every code that fits into a Close."""
    assert len({code_label(code, "client") for code in range(1 << 16)}) == 16 + 3
