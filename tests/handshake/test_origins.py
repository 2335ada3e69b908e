from __future__ import annotations

import pytest
from django.middleware.csrf import CsrfViewMiddleware
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from django_websocket.exceptions import HandshakeError
from django_websocket.handshake import remedies
from django_websocket.handshake.origins import MAX_ORIGIN_SIZE, Origin, check_origins, parse_listed

MISSING = "the Origin header is missing"
MALFORMED = "the Origin header is malformed"
NOT_ALLOWED = "the Origin is not allowed"


def refusal(*origins, host="www.example.com", secure=False, **kwargs):
    """Return why one of ``origins`` is refused, ``None`` if all are allowed."""
    try:
        check_origins(origins, host=host, secure=secure, **kwargs)
    except HandshakeError as error:
        return str(error)
    return None


@pytest.mark.parametrize("origins", [[], [""], ["http://malicious.com"]])
def test_status(origins):
    with pytest.raises(HandshakeError) as caught:
        check_origins(origins, host="www.example.com", secure=False, require=True)
    assert caught.value.status == 403


class TestOwnOrigin:
    @pytest.mark.parametrize(
        ("host", "secure", "origin"),
        [
            ("www.example.com", False, "http://www.example.com"),
            ("www.example.com", True, "https://www.example.com"),
            ("www.example.com:80", False, "http://www.example.com"),
            ("www.example.com", False, "http://www.example.com:80"),
            ("www.example.com:443", True, "https://www.example.com"),
            ("www.example.com", True, "https://www.example.com:443"),
            ("www.example.com:8000", False, "http://www.example.com:8000"),
            ("www.example.com:65535", False, "http://www.example.com:65535"),
            ("WWW.example.com", False, "http://www.EXAMPLE.com"),
            ("www.example.com", False, "HTTP://www.example.com"),
            ("www.example.com.", False, "http://www.example.com."),
            ("xn--bcher-kva.example", True, "https://xn--bcher-kva.example"),
            ("localhost:8000", False, "http://localhost:8000"),
            ("127.0.0.1:8000", False, "http://127.0.0.1:8000"),
            ("[::1]", False, "http://[::1]"),
            ("[::1]:8000", False, "http://[::1]:8000"),
            ("[::1]", False, "http://[0:0:0:0:0:0:0:1]:80"),
            ("[2001:db8::a]", True, "https://[2001:DB8::A]"),
            ("my_app.local", False, "http://my_app.local"),
        ],
    )
    def test_allowed(self, host, secure, origin):
        assert refusal(origin, host=host, secure=secure) is None

    @pytest.mark.parametrize(
        "origin",
        [
            # prefix, suffix, contains
            "http://www.example.com.malicious.com",
            "http://www.example.community",
            "http://evil-www.example.com",
            "http://evil.www.example.com",
            "http://malicious.com.www.example.com",
            "http://example.com",
            "http://www",
            "http://www.example.co",
            "http://xwww.example.comx",
            "http://wwwxexample.com",
            # port
            "http://www.example.com:8000",
            "http://www.example.com:443",
            "http://www.example.com:8",
            # scheme
            "https://www.example.com",
            "https://www.example.com:80",
            "ws://www.example.com",
            "wss://www.example.com",
            "httpx://www.example.com",
            "httpx://www.example.com:80",
            "xhttp://www.example.com",
            "file://www.example.com",
            # another name of the host
            "http://www.example.com.",
            "http://xn--www-example-com.example",
            "http://localhost",
            "http://127.0.0.1",
            "http://[::1]",
            # no host
            "null",
            "file://",
        ],
    )
    def test_another_origin(self, origin):
        assert refusal(origin) == NOT_ALLOWED

    @pytest.mark.parametrize(
        "name",
        [
            "localhost",
            "127.0.0.1.",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::7f00:1]",
        ],
    )
    def test_another_name_of_our_own_address(self, name):
        """Names are compared, and never looked up: the attacker has a DNS server, too."""
        assert refusal(f"http://{name}:8000", host="127.0.0.1:8000") == NOT_ALLOWED

    def test_localhost_is_no_prefix(self):
        assert refusal("http://localhost.attacker.tld:8000", host="localhost:8000") == NOT_ALLOWED
        assert refusal("http://localhost:80000", host="localhost:8000") == MALFORMED
        assert refusal("http://localhost:9000", host="localhost:90") == NOT_ALLOWED

    def test_secure_request_wants_a_secure_origin(self):
        assert refusal("http://www.example.com", secure=True) == NOT_ALLOWED
        assert refusal("http://www.example.com:443", secure=True) == NOT_ALLOWED

    def test_trailing_dot_of_our_own_host_is_kept(self):
        assert refusal("http://www.example.com", host="www.example.com.") == NOT_ALLOWED

    @pytest.mark.parametrize("host", ["", "a b", "www.example.com:0080", "www.example.com:99999", "*.example.com"])
    def test_a_malformed_host_has_no_own_origin(self, host):
        assert refusal("http://www.example.com", host=host) == NOT_ALLOWED


@pytest.mark.parametrize(
    "origin",
    [
        "",
        " ",
        "example.com",
        "//www.example.com",
        "http:www.example.com",
        "http:/www.example.com",
        "http:///www.example.com",
        "http://",
        "http://:80",
        "https://",
        "file:///",
        "file:///etc/passwd",
        "Null",
        "null ",
        "*",
        "http://*",
        "http://*.example.com",
        "1http://www.example.com",
        # more than an origin
        "http://www.example.com/",
        "http://www.example.com/path",
        "http://www.example.com?",
        "http://www.example.com?query",
        "http://www.example.com#",
        "http://www.example.com#fragment",
        "http://www.example.com\\",
        "http://www.example.com;",
        # userinfo
        "http://www.example.com@malicious.com",
        "http://malicious.com@www.example.com",
        "http://user:password@www.example.com",
        "http://www.example.com:80@malicious.com",
        "http://@www.example.com",
        # percent
        "http://www.example.com%00.malicious.com",
        "http://www%2eexample.com",
        # port
        "http://www.example.com:",
        "http://www.example.com:0",
        "http://www.example.com:080",
        "http://www.example.com:65536",
        "http://www.example.com:99999",
        "http://www.example.com:100000000080",
        "http://www.example.com:-80",
        "http://www.example.com:+80",
        "http://www.example.com:8_0",
        "http://www.example.com:80:80",
        "http://www.example.com:http",
        "http://www.example.com:\u0668\u0660",
        # dots
        "http://.www.example.com",
        "http://www..example.com",
        "http://www.example.com..",
        "http://.",
        # two headers, joined by the server
        "http://www.example.com,http://malicious.com",
        "http://www.example.com, http://www.example.com",
        "http://malicious.com http://www.example.com",
        # whitespace and control characters, folded headers among them
        " http://www.example.com",
        "http://www.example.com ",
        "http://www.example.com\t",
        "http://www.example.com\n",
        "http://www.example.com\r\n",
        "http://www.example.com\r\n X-Injected: 1",
        "http://www.example\r\n .com",
        "http://www.example.com\x00",
        "http://www.example.com\x0b",
        "http://www.example.com\x1c",
        "http://www.example.com\x7f",
        "http://www.example.com\x85",
        # non-ASCII: as text, as a server decodes its UTF-8, and letters that fold into ASCII ones
        "http://b\u00fccher.example",
        "http://b\u00c3\u00bccher.example",
        "http://www.example\u3002com",
        "http://www.example.com\u2028",
        "http\u017f://www.example.com",
        "http://www.example.com\u212a",
        # IPv6
        "http://[::1",
        "http://::1",
        "http://[]",
        "http://[:::1]",
        "http://[1::2::3]",
        "http://[::1%25eth0]",
        "http://[::1].malicious.com",
        "http://[www.example.com]",
        "http://[12345::]",
        # size
        "http://" + "a" * 10_240,
        "http://www.example.com" + ":" * 10_240,
        "a" * 10_240,
        "http://" + "a." * 5_120,
        "http://" + "a" * (MAX_ORIGIN_SIZE - 6),
    ],
)
def test_malformed(origin):
    assert refusal(origin) == MALFORMED
    assert refusal(origin, allowed=["https://example.com"]) == MALFORMED
    assert refusal(origin, trusted=[origin]) == MALFORMED


@pytest.mark.parametrize(
    "origin",
    [
        "",
        " ",
        "http://a b",
        "a\tb",
        "a\r\n X: 1",
        "a\n",
        "\x00",
        "\x7f",
        "\x85",
        "é",
        "\u212a",
        "a" * (MAX_ORIGIN_SIZE + 1),
    ],
)
def test_malformed_even_where_every_origin_is_allowed(origin):
    """In the old drafts, the answer repeats the origin."""
    assert refusal(origin, allowed=["*"]) == MALFORMED
    assert refusal(origin, allowed=["https://example.com", "*"]) == MALFORMED


def test_every_string_over_the_limit_is_too_long():
    origin = "http://" + "a" * (MAX_ORIGIN_SIZE - 7)
    assert refusal(origin, allowed=[origin]) is None


@pytest.mark.parametrize("letter", ["\u212a", "\u017f"])
def test_letters_that_fold_into_ascii_ones(letter):
    """Unicode folds KELVIN SIGN into ``k`` and LONG S into ``s``."""
    origin = f"http://{letter}.example"
    folded = f"http://{letter.casefold()}.example"
    assert folded.isascii()
    assert refusal(folded, allowed=[folded]) is None
    assert refusal(origin, allowed=[folded]) == MALFORMED


class TestMissing:
    def test_allowed(self):
        assert refusal() is None
        assert refusal(allowed=[]) is None

    def test_required(self):
        assert refusal(require=True) == MISSING
        assert refusal(require=True, allowed=["*"]) == MISSING

    def test_required_and_there(self):
        assert refusal("http://www.example.com", require=True) is None
        assert refusal("http://malicious.com", require=True) == NOT_ALLOWED

    def test_empty_is_not_missing(self):
        assert refusal("") == MALFORMED


class TestWithoutScheme:
    """Clients of 2010 to 2015 that are no browsers send the ``Host`` as their ``Origin``."""

    @pytest.mark.parametrize("host", ["www.example.com", "127.0.0.1:8000", "[::1]:8000", "WWW.example.com"])
    @pytest.mark.parametrize("secure", [False, True])
    def test_exactly_the_host_is_the_own_origin(self, host, secure):
        assert refusal(host, host=host, secure=secure) is None
        assert refusal(host, host=host, secure=secure, require=True) is None

    @pytest.mark.parametrize(
        "origin",
        [
            "example.com",
            "www.example.com:80",
            "WWW.example.com",
            "www.example.com.",
            "//www.example.com",
            "www.example.co",
        ],
    )
    def test_anything_else_is_malformed(self, origin):
        assert refusal(origin) == MALFORMED
        assert refusal(origin, trusted=[origin, f"http://{origin}"]) == MALFORMED

    def test_the_own_origin_has_to_be_listed(self):
        host = "127.0.0.1:8000"
        assert refusal(host, host=host, allowed=["http://127.0.0.1:8000"]) is None
        assert refusal(host, host=host, allowed=["https://127.0.0.1:8000"]) == NOT_ALLOWED
        assert refusal(host, host=host, allowed=["https://127.0.0.1:8000"], secure=True) is None
        assert refusal(host, host=host, allowed=[]) == NOT_ALLOWED

    @pytest.mark.parametrize("host", ["null", "file://"])
    def test_a_page_without_an_origin_has_no_host(self, host):
        """A sandboxed page sends ``null``, whatever the name of this site is."""
        assert refusal(host, host=host) == NOT_ALLOWED

    @pytest.mark.parametrize("host", ["", "a b", "*.example.com", "www.example.com:0080", "www.example.com:99999"])
    def test_a_malformed_host(self, host):
        assert refusal(host, host=host) == MALFORMED


class TestSeveral:
    """Some clients of the drafts send two header fields with an origin."""

    OWN, OTHER = "http://www.example.com", "https://malicious.com"

    def test_each_has_to_be_allowed(self):
        assert refusal(self.OWN, self.OWN) is None
        assert refusal(self.OWN, "www.example.com") is None
        assert refusal(self.OWN, self.OTHER) == NOT_ALLOWED
        assert refusal(self.OTHER, self.OWN) == NOT_ALLOWED
        assert refusal(self.OWN, "") == MALFORMED

    def test_in_a_list(self):
        assert refusal(self.OWN, self.OTHER, allowed=[self.OWN, self.OTHER]) is None
        assert refusal(self.OWN, self.OTHER, allowed=[self.OWN]) == NOT_ALLOWED
        assert refusal(self.OWN, "anything", allowed=["*"]) is None
        assert refusal(self.OWN, "any thing", allowed=["*"]) == MALFORMED


class TestRemedies:
    """The log names the setting to change, in each of the usual mistakes."""

    @pytest.mark.parametrize(
        ("own", "page", "remedy"),
        [
            # A proxy ends TLS, and Django is not told.
            ("http://example.com", "https://example.com", remedies.TLS_PROXY),
            ("http://example.com:443", "https://example.com", remedies.TLS_PROXY),
            ("http://example.com:8443", "https://example.com:8443", remedies.TLS_PROXY),
            # The proxy drops the port as well.
            ("http://example.com", "https://example.com:8443", f"{remedies.TLS_PROXY}; {remedies.LOST_PORT}"),
            # The proxy only drops the port.
            ("http://example.com", "http://example.com:8000", remedies.LOST_PORT),
            ("https://example.com", "https://example.com:8443", remedies.LOST_PORT),
            # A development server of the front end, on another port.
            ("http://localhost:8000", "http://localhost:3000", remedies.NOT_TRUSTED),
            ("http://localhost:8000", "https://localhost:3000", remedies.NOT_TRUSTED),
            # A page without TLS, which anybody on the way can have changed.
            ("https://example.com", "http://example.com", remedies.HTTP_PAGE),
            # Another name: the proxy's for this server, or another site.
            ("http://app", "http://example.com", f"{remedies.REPLACED_HOST}; {remedies.NOT_TRUSTED}"),
            ("http://localhost:8000", "http://localhost", f"{remedies.REPLACED_HOST}; {remedies.NOT_TRUSTED}"),
            ("http://localhost:8000", "https://localhost", f"{remedies.REPLACED_HOST}; {remedies.NOT_TRUSTED}"),
            ("http://127.0.0.1:8000", "http://localhost:8080", f"{remedies.REPLACED_HOST}; {remedies.NOT_TRUSTED}"),
            ("http://localhost:8000", "http://192.0.2.1:8000", f"{remedies.REPLACED_HOST}; {remedies.NOT_TRUSTED}"),
            ("http://example.com:8000", "http://127.0.0.1:8000", f"{remedies.REPLACED_HOST}; {remedies.NOT_TRUSTED}"),
            ("http://*.example.com", "http://example.com", f"{remedies.REPLACED_HOST}; {remedies.NOT_TRUSTED}"),
            # The same server under another name.
            ("http://localhost:8000", "http://127.0.0.1:8000", remedies.OTHER_LOOPBACK_NAME),
            ("http://127.0.0.1:8000", "http://localhost:8000", remedies.OTHER_LOOPBACK_NAME),
            ("http://[::1]", "http://localhost", remedies.OTHER_LOOPBACK_NAME),
            # An application's own scheme.
            ("http://localhost", "capacitor://localhost", remedies.NOT_TRUSTED),
            ("http://example.com", "null", remedies.NO_ORIGIN),
        ],
    )
    def test_without_a_list(self, own, page, remedy):
        scheme, _, host = own.partition("://")
        with pytest.raises(HandshakeError) as caught:
            check_origins([page], host=host, secure=scheme == "https")
        assert caught.value.remedy == remedy
        assert caught.value.detail == f"this site is {own}, the page is of {page}"

    @pytest.mark.parametrize(
        ("meta", "remedy"),
        [
            ({}, remedies.NO_TLS_HEADER),
            ({"HTTP_X_FORWARDED_PROTO": "http"}, remedies.OTHER_TLS_HEADER),
            ({"HTTP_X_FORWARDED_PROTO": ""}, remedies.OTHER_TLS_HEADER),
        ],
    )
    def test_a_proxy_does_not_send_the_header_of_the_setting(self, settings, meta, remedy):
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        with pytest.raises(HandshakeError) as caught:
            check_origins(["https://example.com"], host="example.com", secure=False, meta=meta)
        assert caught.value.remedy == remedy

    def test_with_a_list(self):
        with pytest.raises(HandshakeError) as caught:
            check_origins(["https://example.com"], host="example.com", secure=False, allowed=["https://example.org"])
        assert caught.value.remedy == remedies.NOT_IN_ALLOWED_ORIGINS
        assert caught.value.detail == "the page is of https://example.com"

    def test_a_malformed_origin_has_none(self):
        with pytest.raises(HandshakeError) as caught:
            check_origins(["x"], host="example.com", secure=False)
        assert caught.value.remedy == ""


class TestTrusted:
    TRUSTED = ("https://app.example.org", "https://*.example.net:8443", "https://example.org/", "*", "null", "x.org")

    @pytest.mark.parametrize("origin", ["https://app.example.org", "https://a.b.example.net:8443"])
    def test_allowed(self, origin):
        assert refusal(origin, trusted=self.TRUSTED) is None

    @pytest.mark.parametrize(
        "origin",
        ["https://example.org", "https://a.example.net", "null", "https://x.org", "https://*.example.net:8443"],
    )
    def test_entries_that_are_no_origins_match_nothing(self, origin):
        assert refusal(origin, trusted=self.TRUSTED) in {NOT_ALLOWED, MALFORMED}

    def test_own_origin_is_still_allowed(self):
        assert refusal("http://www.example.com", trusted=self.TRUSTED) is None

    @pytest.mark.parametrize("listed", ["https://example.com", "https://*.example.com", "https://*.example.com:8443"])
    @pytest.mark.parametrize(
        "origin",
        [
            "https://example.com",
            "https://a.example.com",
            "https://a.b.example.com",
            "https://a.example.com:8443",
            "https://example.com:8443",
            "http://a.example.com",
            "https://badexample.com",
            "https://example.com.malicious.com",
            "https://a.example.org",
        ],
    )
    def test_as_the_csrf_middleware_does(self, settings, listed, origin):
        settings.CSRF_TRUSTED_ORIGINS = [listed]
        request = RequestFactory().get("/", headers={"origin": origin})
        verified = CsrfViewMiddleware(lambda _: None)._origin_verified(request)
        assert (refusal(origin, host="testserver", trusted=[listed]) is None) is verified


class TestAllowed:
    def test_list_stands_instead_of_own_and_trusted(self):
        allowed = ["https://app.example.org"]
        assert refusal("https://app.example.org", allowed=allowed) is None
        assert refusal("http://www.example.com", allowed=allowed) == NOT_ALLOWED
        assert refusal("http://a.org", allowed=allowed, trusted=["http://a.org"]) == NOT_ALLOWED

    def test_empty_list(self):
        assert refusal("http://www.example.com", allowed=[]) == NOT_ALLOWED

    @pytest.mark.parametrize(
        ("listed", "origin"),
        [
            ("https://example.com", "https://example.com:443"),
            ("https://example.com:443", "https://example.com"),
            ("HTTPS://Example.COM", "https://example.com"),
            ("http://[::1]:8000", "http://[::1]:8000"),
            ("https://*.Example.com", "https://A.example.com"),
            ("https://*.example.com", "https://example.com"),
            ("https://*.example.com", "https://evil.com.a.example.com:443"),
            ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("file://", "file://"),
        ],
    )
    def test_match(self, listed, origin):
        assert refusal(origin, allowed=["https://other.example", listed]) is None

    @pytest.mark.parametrize(
        ("listed", "origin"),
        [
            ("https://*.example.com", "https://badexample.com"),
            ("https://*.example.com", "https://a.example.com.malicious.com"),
            ("https://*.example.com", "https://a.example.com."),
            ("https://*.example.com", "https://a.example.com:8443"),
            ("https://*.example.com", "http://a.example.com"),
            ("https://*.example.com", "http://a.example.com:443"),
            ("https://*.example.com", "wss://a.example.com"),
            ("http://*.example.com", "http://a.example.com:443"),
            ("http://*.1", "http://[::1]"),
            ("capacitor://localhost", "capacitor://localhost:80"),
            ("wss://example.com", "wss://example.com"),
            ("null", "null"),
            ("file://", "null"),
        ],
    )
    def test_no_match(self, listed, origin):
        assert refusal(origin, allowed=["https://other.example", listed]) == NOT_ALLOWED

    @pytest.mark.parametrize(
        "origin",
        [
            *("https://malicious.com", "http://[::1]:1", "wss://a", "capacitor://localhost", "null", "file://"),
            # No origins, but visible ASCII.
            *(
                "127.0.0.1:8000",
                "app",
                "http://*.example.com",
                "http://a/b?c#d",
                "http://a@b",
                "http://a,http://b",
                "*",
            ),
            "".join(map(chr, range(0x21, 0x7F))),
            "a" * MAX_ORIGIN_SIZE,
        ],
    )
    def test_star_is_every_origin(self, origin):
        assert refusal(origin, allowed=["*"]) is None
        assert refusal(origin, allowed=["https://example.com", "*"]) is None


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://example.com", Origin("https", "example.com", 443)),
        ("https://*.example.com:8443", Origin("https", ".example.com", 8443)),
        ("capacitor://localhost", Origin("capacitor", "localhost", None)),
        ("*", None),
        ("null", None),
        ("null://host", None),
        ("ws://example.com", None),
        ("wss://example.com", None),
        ("example.com", None),
        ("https://example.com/", None),
        ("https://*", None),
        ("https://*.", None),
        ("https://*example.com", None),
        ("https://*.*.example.com", None),
        ("https://a.*.example.com", None),
        ("https://*.[::1]", None),
        ("file://*.", None),
        ("", None),
    ],
)
def test_parse_listed(text, origin):
    assert parse_listed(text) == origin


PIECES = ["https", "HTTPS", "http", "://", "a", ".", "example", "EXAMPLE.com", ".com", ":443", ":", "443", "80", "@"]
PIECES += ["/", "*.", "\r\n", " ", ",", "[::1]", "\u017f", "\u0130", "null"]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.just("https://example.com"))
def test_only_the_listed_origin_is_allowed(origin):
    same = origin.isascii() and origin.lower() in {"https://example.com", "https://example.com:443"}
    assert (refusal(origin, allowed=["https://example.com"]) is None) is same


@given(st.text())
def test_refusals_never_repeat_the_origin(origin):
    assert refusal(origin) in {MALFORMED, NOT_ALLOWED}
