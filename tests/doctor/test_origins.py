import pytest

from django_websocket.doctor.addresses import Address
from django_websocket.doctor.origins import candidates, describe_origins, judge_origins
from django_websocket.exceptions import HandshakeError
from django_websocket.handshake.origins import check_origins


def accepted(address, *, host, secure, allowed=None, require=False):
    """Return what this package answers behind a proxy by which a request has another host or scheme."""

    def may(origin):
        try:
            origins = [origin] if origin else []
            check_origins(origins, host=host, secure=secure, allowed=allowed, require=require)
        except HandshakeError:
            return False
        return True

    return {name: may(origin) for name, origin in candidates(address).items()}


@pytest.mark.parametrize(
    ("url", "host", "secure", "verdict"),
    [
        ("ws://example.com:8080/", "app", False, "host-replaced"),
        ("ws://example.com:8080/", "127.0.0.1:8000", False, "host-replaced"),
        ("ws://example.com:8080/", "example.com", False, "port-lost"),
        ("wss://example.com:8443/", "example.com", True, "port-lost"),
        ("wss://example.com/", "example.com", False, "scheme-lost"),
        ("wss://example.com:8443/", "example.com:8443", False, "scheme-lost"),
        ("wss://example.com:8443/", "example.com", False, "scheme-lost"),
        ("wss://example.com/", "app", False, "host-replaced"),
        # The page of another site was tried, by --origin.
        ("ws://example.com/", "example.com", False, "origin-refused"),
        # TLS is on at the server only.
        ("ws://example.com/", "example.com", True, "origin-refused"),
    ],
)
def test_what_a_proxy_has_lost(url, host, secure, verdict):
    address = Address.parse(url)
    assert judge_origins(accepted(address, host=host, secure=secure), address, listed=False) == verdict


@pytest.mark.parametrize("listed", [True, False])
def test_origins_that_are_listed(listed):
    """Nothing on the wire tells a list without the site's own origin from a Host that was replaced."""
    address = Address.parse("wss://example.com/")
    found = accepted(address, host="example.com", secure=True, allowed=["https://other.example"])
    assert judge_origins(found, address, listed=listed) == ("origin-refused" if listed else "host-replaced")


def test_description():
    address = Address.parse("ws://example.com:8080/")
    found = accepted(address, host="example.com", secure=False)
    assert describe_origins(found, address) == (
        "no Origin accepted, http://example.com:8080 refused, https://example.com:8080 refused, http://example.com "
        "accepted"
    )
