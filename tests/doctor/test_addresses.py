import pytest

from django_websocket.doctor.addresses import Address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ws://example.com", Address(False, "example.com", 80, "/")),
        ("wss://example.com/room/7/?a=b&c=d", Address(True, "example.com", 443, "/room/7/?a=b&c=d")),
        ("WSS://Example.com:8443/", Address(True, "example.com", 8443, "/")),
        ("http://localhost:8000/room/#top", Address(False, "localhost", 8000, "/room/")),
        ("https://example.com/", Address(True, "example.com", 443, "/")),
        ("ws://[::1]:8000/", Address(False, "::1", 8000, "/")),
        ("ws://example.com/café/?q=é", Address(False, "example.com", 80, "/caf%C3%A9/?q=%C3%A9")),
        ("ws://bücher.example/", Address(False, "xn--bcher-kva.example", 80, "/")),
        ("ws://example.com/a%20b/", Address(False, "example.com", 80, "/a%20b/")),
    ],
)
def test_parse(text, expected):
    assert Address.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has to begin with ws://"),
        ("example.com/room/", "has to begin with ws://"),
        ("ftp://example.com/", "has to begin with ws://"),
        ("ws:///room/", "names no host"),
        ("ws://./", "names no host"),
        ("ws://example.com:0/", "names no host"),
        ("ws://exa mple.com/", "names no host"),
        ("ws://example.com:70000/", "is not understood"),
        (f"ws://{'ü' * 80}/", "is not understood"),
        ("ws://[::1/", "is not understood"),
        ("ws://user:secret@example.com/", "has a user name"),
    ],
)
def test_what_is_not_understood(text, reason):
    with pytest.raises(ValueError, match=reason):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "netloc", "origin"),
    [
        ("ws://example.com:80/", "example.com", "http://example.com"),
        ("wss://example.com:80/", "example.com:80", "https://example.com:80"),
        ("wss://example.com/", "example.com", "https://example.com"),
        ("ws://[::1]:8000/", "[::1]:8000", "http://[::1]:8000"),
        ("ws://[fe80::1%eth0]/", "[fe80::1]", "http://[fe80::1]"),
    ],
)
def test_host_and_origin(text, netloc, origin):
    address = Address.parse(text)
    assert (address.netloc, address.origin) == (netloc, origin)


def test_parts():
    address = Address.parse("https://example.com:8443/room/?since=7")
    assert address.url == "wss://example.com:8443/room/?since=7"
    assert address.path == "/room/"
    assert address.origin_with(secure=False, port=False) == "http://example.com"
