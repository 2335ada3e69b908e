"""The HTTP of the handshakes: lists, header fields, requests and answers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_websocket.exceptions import HandshakeError
from django_websocket.protocols import http
from django_websocket.protocols.http import (
    MAX_LIST_ITEMS,
    MAX_LIST_SIZE,
    RESERVED_HEADERS,
    Request,
    check_extensions,
    check_reflected,
    check_upgrade,
    further_headers,
    header_lines,
    lowercase_tokens,
    parse_extensions,
    parse_head,
    parse_tokens,
    write_request,
)

from .inputs import UNCLEAN

UPGRADE = {"upgrade": "websocket", "connection": "Upgrade"}
#: RFC 9110 section 5.6.2
TCHAR = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
NOT_TCHAR = [chr(code) for code in range(0x100) if chr(code) not in TCHAR]
TOKENS = st.text(TCHAR, min_size=1, max_size=20)
SPACE = st.text(" \t", max_size=3)


# Requests


def test_an_empty_request_has_sensible_defaults():
    request = Request()
    assert (request.headers, request.method, request.target, request.host) == ({}, "GET", "/", None)
    assert not request.secure
    assert request.http_version is None
    assert not request.is_upgrade


def test_an_absent_header_is_empty():
    request = Request({"origin": "http://example.com"})
    assert request.header("origin") == "http://example.com"
    assert request.header("cookie") == ""


@pytest.mark.parametrize(
    ("value", "is_upgrade"),
    [
        ("websocket", True),
        ("WebSocket", True),
        ("h2c, WEBSOCKET", True),
        ("\twebsocket ,h2c", True),
        ("", False),
        ("h2c", False),
        ("notwebsocket", False),
        ("websockets", False),
        ("websocket/13", False),
        ("web socket", False),
        ("websocket;", False),
        ("websocket\x0b", False),
        ("websocket\r\n", False),
        ("websocket\xa0", False),
        ("," * MAX_LIST_SIZE + "websocket", False),
    ],
)
def test_an_upgrade_names_websocket_as_a_whole_token(value, is_upgrade):
    assert Request({"upgrade": value}).is_upgrade is is_upgrade


@pytest.mark.parametrize(
    ("options", "location"),
    [
        ({"host": "example.com"}, "ws://example.com/"),
        ({"host": "Example.COM"}, "ws://example.com/"),
        ({"host": "example.com:80"}, "ws://example.com/"),
        ({"host": "example.com:443"}, "ws://example.com:443/"),
        ({"host": "example.com:8080"}, "ws://example.com:8080/"),
        ({"host": "[::1]:80", "target": "/A?b=%20"}, "ws://[::1]/A?b=%20"),
        ({"host": "example.com", "secure": True}, "wss://example.com/"),
        ({"host": "example.com:443", "secure": True}, "wss://example.com/"),
        ({"host": "example.com:80", "secure": True}, "wss://example.com:80/"),
    ],
)
def test_location(options, location):
    assert Request(**options).location == location


@pytest.mark.parametrize("value", ["", *UNCLEAN])
@pytest.mark.parametrize("where", ["host", "target"])
def test_there_is_no_location_with_an_unclean_part(where, value):
    request = Request(**{"host": "example.com", where: value})
    with pytest.raises(HandshakeError, match="missing or malformed"):
        _ = request.location


def test_there_is_no_location_without_a_host():
    with pytest.raises(HandshakeError, match="the Host is missing"):
        _ = Request().location


# The requirements of every version


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"connection": "keep-alive, Upgrade"},
        {"connection": "UPGRADE"},
        {"content-length": "0"},
        {"content-length": " 0\t"},
        {"content-length": ""},
        {"transfer-encoding": ""},
    ],
)
def test_takes_an_upgrade(headers):
    check_upgrade(Request(UPGRADE | headers))


@pytest.mark.parametrize(
    ("headers", "options", "reason"),
    [
        ({}, {"method": "POST"}, "GET"),
        ({}, {"method": "HEAD"}, "GET"),
        ({}, {"method": "get"}, "GET"),
        ({}, {"method": ""}, "GET"),
        ({}, {"http_version": (1, 0)}, r"HTTP/1\.1"),
        ({}, {"http_version": (0, 9)}, r"HTTP/1\.1"),
        ({"upgrade": "h2c"}, {}, "Upgrade header"),
        ({"connection": ""}, {}, "Connection header"),
        ({"connection": "keep-alive"}, {}, "Connection header"),
        ({"connection": "notupgrade"}, {}, "Connection header"),
        ({"connection": "upgrade-insecure"}, {}, "Connection header"),
        ({"content-length": "1"}, {}, "body"),
        ({"content-length": "8"}, {}, "body"),
        ({"content-length": "00"}, {}, "body"),
        ({"content-length": "-0"}, {}, "body"),
        ({"content-length": "0, 0"}, {}, "body"),
        ({"content-length": "x"}, {}, "body"),
        ({"transfer-encoding": "chunked"}, {}, "body"),
        ({"transfer-encoding": "identity"}, {}, "body"),
    ],
)
def test_refuses_a_request_that_is_no_upgrade(headers, options, reason):
    with pytest.raises(HandshakeError, match=reason) as caught:
        check_upgrade(Request(UPGRADE | headers, **options))
    assert caught.value.status == 400


@pytest.mark.parametrize("http_version", [None, (1, 1), (2, 0)])
def test_takes_http_from_one_point_one_on(http_version):
    check_upgrade(Request(UPGRADE, http_version=http_version))


def test_a_version_may_have_a_body_of_one_length():
    check_upgrade(Request(UPGRADE | {"content-length": "8"}), body="8")
    check_upgrade(Request(UPGRADE | {"content-length": "0"}), body="8")
    check_upgrade(Request(UPGRADE), body="8")
    for headers in ({"content-length": "9"}, {"content-length": "8", "transfer-encoding": "chunked"}):
        with pytest.raises(HandshakeError, match="body"):
            check_upgrade(Request(UPGRADE | headers), body="8")


# Lists of tokens


@given(st.lists(TOKENS, unique=True, max_size=MAX_LIST_ITEMS), SPACE, SPACE)
def test_parses_a_list_into_its_items(names, before, after):
    value = ",".join(f"{before}{name}{after}" for name in names)
    assert parse_tokens(value, "X") == tuple(names)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("", ()),
        (" \t", ()),
        (",", ()),
        (" ,\t, ", ()),
        ("a", ("a",)),
        ("a,b", ("a", "b")),
        ("b, a", ("b", "a")),
        (",a ,\t,\tb, ", ("a", "b")),
        ("a,A", ("a", "A")),
        (TCHAR, (TCHAR,)),
    ],
)
def test_a_list_keeps_its_order_and_its_case(value, names):
    assert parse_tokens(value, "X") == names


@pytest.mark.parametrize("character", [character for character in NOT_TCHAR if character != ","])
def test_a_token_has_no_other_characters(character):
    with pytest.raises(HandshakeError, match="the X header is malformed") as caught:
        parse_tokens(f"a{character}b", "X")
    assert str(caught.value) == "the X header is malformed"


@pytest.mark.parametrize("value", ["a, a", "a,b,a", "a/b", 'a="b"', "a;b", "a\r\n", "\x0ba", "a\xa0", "\u0131"])
def test_refuses_a_list_that_is_doubled_or_not_tokens(value):
    with pytest.raises(HandshakeError, match="malformed"):
        parse_tokens(value, "X")


def test_a_list_has_a_bounded_size():
    assert parse_tokens("a" * MAX_LIST_SIZE, "X") == ("a" * MAX_LIST_SIZE,)
    with pytest.raises(HandshakeError, match="the X header is too long"):
        parse_tokens("a" * MAX_LIST_SIZE + ",", "X")


def test_a_list_has_a_bounded_number_of_items():
    names = tuple(map(str, range(MAX_LIST_ITEMS)))
    assert parse_tokens(",".join(names), "X") == names
    assert parse_tokens(",, ," + ",".join(names), "X") == names
    with pytest.raises(HandshakeError, match="the X header has too many items"):
        parse_tokens(",".join([*names, "more"]), "X")


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        ("", {""}),
        ("Upgrade", {"upgrade"}),
        ("keep-alive,\tUpgrade ", {"keep-alive", "upgrade"}),
        ("a b", {"a b"}),
        ("a\x0b,b\xa0", {"a\x0b", "b\xa0"}),
        ("a" * (MAX_LIST_SIZE + 1), {"a" * MAX_LIST_SIZE}),
    ],
)
def test_tokens(value, elements):
    assert lowercase_tokens(value) == elements


# Sec-WebSocket-Extensions

EXTENSIONS = [
    "",
    " \t",
    ", ,",
    "foo",
    "foo, bar",
    "foo; baz=2, bar",
    "permessage-deflate; client_max_window_bits",
    'permessage-deflate;client_max_window_bits=15 ; server_max_window_bits="10"',
    "foo ; bar\t;\tbaz = \t2 , foo",
    "x-webkit-deflate-frame",
    "constructor; __class__=__init__",
    f"{TCHAR}; {TCHAR}={TCHAR}",
    r'foo; a="\1\0"; b="1\0"; c="\1", bar',
    'foo; a="{}"'.format("".join(f"\\{character}" for character in TCHAR)),
    ",".join(["a"] * MAX_LIST_ITEMS),
    "a" * MAX_LIST_SIZE,
]
MALFORMED_EXTENSIONS = [
    ";",
    "foo;",
    "foo; ;bar",
    "foo; =1",
    "foo; a=",
    "foo; a==1",
    "foo; a=1=2",
    "foo; a=1 2",
    "foo bar",
    "foo; a b",
    "foo=1",
    '"foo"',
    'foo; "a"=1',
    'foo; a=""',
    'foo; a="',
    'foo; a="1',
    'foo; a=1"',
    'foo; a="1 2"',
    'foo; a="1,2"',
    'foo; a="1"2',
    # Unquoted, these are no tokens.
    r'foo; a="\""',
    r'foo; a="\\"',
    r'foo; a="1\ 2"',
    r'foo; a="1\,2"',
    r'foo; a="1\;2"',
    r'foo; a="\=1"',
    # A quoted pair is a part of a quoted string, and has two characters.
    r"foo; a=\1",
    r'foo; \a="1"',
    r'fo\o; a="1"',
    r'foo; a="1\"',
    'foo; a="\\',
    "foo, ;",
    "foo\x0b",
    "foo\r\n",
    "foo; a=1\r\nX: 1",
    "foo\xa0",
    "é",
    "fo\0o",
]


@pytest.mark.parametrize("value", EXTENSIONS)
def test_takes_well_formed_extensions(value):
    check_extensions(value)


@pytest.mark.parametrize("value", MALFORMED_EXTENSIONS)
def test_refuses_malformed_extensions(value):
    for check in (check_extensions, parse_extensions):
        with pytest.raises(HandshakeError, match="the Sec-WebSocket-Extensions header is malformed") as caught:
            check(value)
        assert caught.value.status == 400


@pytest.mark.parametrize("value", ["a" * (MAX_LIST_SIZE + 1), "," * MAX_LIST_ITEMS, ",".join("a" * 33)])
def test_refuses_too_many_extensions(value):
    for check in (check_extensions, parse_extensions):
        with pytest.raises(HandshakeError, match="too long"):
            check(value)


@pytest.mark.parametrize(
    ("value", "extensions"),
    [
        ("", []),
        (" ,\t,", []),
        ("foo", [("foo", [])]),
        ("foo, foo ,bar", [("foo", []), ("foo", []), ("bar", [])]),
        ("foo; a; b=1 ;a = \t2", [("foo", [("a", None), ("b", "1"), ("a", "2")])]),
        ('x;a="10",y;b', [("x", [("a", "10")]), ("y", [("b", None)])]),
        ("Foo; A=B", [("Foo", [("A", "B")])]),
        (r'x;a="\1\0",y;b="1\0"', [("x", [("a", "10")]), ("y", [("b", "10")])]),
    ],
)
def test_parses_extensions(value, extensions):
    assert parse_extensions(value) == extensions


#: Each character may be the second half of a quoted pair.
QUOTED = st.lists(st.sampled_from([*TCHAR, *(f"\\{character}" for character in TCHAR)]), min_size=1, max_size=20)
PARAMETER = st.tuples(TOKENS, st.one_of(st.none(), TOKENS, QUOTED.map(lambda parts: f'"{"".join(parts)}"')))
EXTENSION = st.tuples(TOKENS, st.lists(PARAMETER, max_size=4))


@given(st.lists(EXTENSION, max_size=5), SPACE, SPACE)
def test_takes_extensions_with_any_parameters_and_spaces(extensions, before, after):
    value = f"{before},{after}".join(
        f"{before};{after}".join([name] + [k if v is None else f"{k}{before}={after}{v}" for k, v in parameters])
        for name, parameters in extensions
    )
    value = f"{before}{value}{after}"
    check_extensions(value)
    assert parse_extensions(value) == [
        (name, [(k, None if v is None else re.sub(r'["\\]', "", v)) for k, v in parameters])
        for name, parameters in extensions
    ]


#: A long run with a mismatch at its end makes a pattern slow if it can match in more than one way.
RUNS = [
    "a",
    " ",
    "\t ",
    ";",
    "=",
    '"',
    "\\",
    "a ",
    " a",
    ";a",
    "; a",
    "a;",
    ";a=",
    ";a=a",
    ";a=a ",
    ';a="a"',
    ';a="',
    ';a="\\c',
    ';a="\\c"',
    '"\\',
    ' \t; \ta \t= \t"a" \t',
    ";a ;a\t",
    "=a",
    '""',
]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("end", ["", "\0", '"', ";", "=", " x", "é"])
def test_lists_are_checked_in_linear_time(monkeypatch, run, end):
    """Lists of 64 times the greatest size are checked: one would take minutes if the time grew with the square."""
    size = 64 * MAX_LIST_SIZE
    monkeypatch.setattr(http, "MAX_LIST_SIZE", size)
    for start in ("", 'a;a="'):
        value = (start + run * size)[: size - len(end)] + end
        assert len(value) == size
        for check in (check_extensions, parse_extensions, lambda value: parse_tokens(value, "X")):
            try:
                check(value)
            except HandshakeError as error:
                assert str(error).endswith("is malformed")  # noqa: PT017 - some lists are well-formed


# Header fields that an application adds


def test_header_lines():
    assert header_lines([]) == ""
    pairs = [("Set-Cookie", "a=b; Path=/"), ("Set-Cookie", "c=d"), ("X-Empty", ""), ("x", "a\tb  c")]
    assert header_lines(iter(pairs)) == "Set-Cookie: a=b; Path=/\r\nSet-Cookie: c=d\r\nX-Empty: \r\nx: a\tb  c\r\n"


OWN_HEADERS = {"sec-websocket-accept", "sec-websocket-x", "websocket-origin", "websocket-x"}


@pytest.mark.parametrize("name", sorted(RESERVED_HEADERS | OWN_HEADERS))
@pytest.mark.parametrize("change", [str, str.title, str.upper])
def test_a_header_of_the_handshake_cannot_be_added(name, change):
    with pytest.raises(ValueError, match="not a header that can be added"):
        header_lines([("X", "1"), (change(name), "1")])


@pytest.mark.parametrize("name", ["", "a:", "a b", " a", "a ", "a\r\nb", "a\0", "é", "a\u212a", "a\n"])
def test_a_header_has_a_token_for_its_name(name):
    with pytest.raises(ValueError, match="not a header that can be added"):
        header_lines([(name, "1")])


@pytest.mark.parametrize("character", [*map(chr, range(0x20)), *map(chr, range(0x7F, 0x101)), "\u2028", "\ud800"])
def test_a_header_has_visible_ascii_for_its_value(character):
    if character == "\t":
        assert header_lines([("X", "a\tb")]) == "X: a\tb\r\n"
    else:
        with pytest.raises(ValueError, match="the value of X is not visible ASCII") as caught:
            header_lines([("X", f"a{character}b")])
        assert character not in str(caught.value)
    for value in (character, f"a{character}", f"{character}a"):
        with pytest.raises(ValueError, match="the value of X is not visible ASCII"):
            header_lines([("X", value)])


@pytest.mark.parametrize("pair", [("X", b"1"), ("X", 1), ("X", None), (b"X", "1")])
def test_a_header_is_two_strings(pair):
    with pytest.raises(TypeError):
        header_lines([pair])


def test_the_value_of_a_header_is_checked_in_linear_time():
    with pytest.raises(ValueError, match="visible ASCII"):
        header_lines([("X", "a" + " \t" * 2**20)])


# Repeated values


@pytest.mark.parametrize("value", ["a", "http://example.com", "".join(map(chr, range(0x21, 0x7F)))])
def test_visible_ascii_may_be_repeated(value):
    assert check_reflected(value, "X") == value


@pytest.mark.parametrize("value", ["", "\n", "a\n", *UNCLEAN])
def test_nothing_else_may_be_repeated(value):
    with pytest.raises(HandshakeError) as caught:
        check_reflected(value, "X")
    assert str(caught.value) == "the X is missing or malformed"


# The head of a request


def test_header_fields_of_a_request_have_their_usual_spelling():
    request = Request({"cookie": "a=b", "user-agent": "test", "origin": "http://example.com"})
    assert further_headers(request) == {"Cookie": "a=b", "User-Agent": "test", "Origin": "http://example.com"}
    assert further_headers(request, without={"origin", "host"}) == {"Cookie": "a=b", "User-Agent": "test"}


@pytest.mark.parametrize(
    "headers", [{"upgrade": "h2c"}, {"sec-websocket-key": "a"}, {"cookie": "a\r\nX: 1"}, {"a b": "1"}]
)
def test_header_fields_of_a_request_are_checked(headers):
    with pytest.raises(ValueError, match=r"not a header|not visible ASCII"):
        further_headers(Request(headers))


def test_writes_a_request():
    request = Request({"cookie": "not repeated"}, target="/a?b", host="example.com", secure=True)
    head, sent = write_request(request, {"Host": "example.com", "X-One": "1", "X-Empty": ""})
    assert head == b"GET /a?b HTTP/1.1\r\nHost: example.com\r\nX-One: 1\r\nX-Empty: \r\n\r\n"
    assert sent == Request(
        {"host": "example.com", "x-one": "1", "x-empty": ""}, target="/a?b", host="example.com", secure=True
    )


@pytest.mark.parametrize("target", ["", *UNCLEAN])
def test_does_not_write_a_request_with_an_unclean_target(target):
    with pytest.raises(HandshakeError, match="the request target is missing or malformed"):
        write_request(Request(target=target), {})


# The head of an answer


@pytest.mark.parametrize(
    ("head", "parsed"),
    [
        ("HTTP/1.1 101 Switching Protocols", (101, {})),
        ("HTTP/1.0 200", (200, {})),
        ("HTTP/1.1 404 ", (404, {})),
        ("HTTP/1.1 101 X\r\nUpgrade: websocket", (101, {"upgrade": "websocket"})),
        ("HTTP/1.1 101 X\r\nA:1\r\nB:\t2 \r\nC:", (101, {"a": "1", "b": "2", "c": ""})),
        ("HTTP/1.1 101 X\r\nA: 1\r\na: 2\r\nA: 3", (101, {"a": "1, 2, 3"})),
        ("HTTP/1.1 101 X\r\nA: b:c", (101, {"a": "b:c"})),
        ("HTTP/1.1 101 X\r\nA: \x0bb\xa0 ", (101, {"a": "\x0bb\xa0"})),
    ],
)
def test_parses_the_head_of_an_answer(head, parsed):
    assert parse_head(head) == parsed


@pytest.mark.parametrize(
    "head",
    [
        "",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 10",
        "HTTP/1.1 1011",
        "HTTP/1.1  101",
        "HTTP/1.1 \u0661\u0660\u0661 X",
        "HTTP/1.1 101\tX",
        "HTTP/2 101 X",
        "HTTP/2.0 101 X",
        "HTTP/1.2 101 X",
        "http/1.1 101 X",
        " HTTP/1.1 101 X",
        "HTTP/1.1 101 X\nUpgrade: websocket",
        "GET / HTTP/1.1",
    ],
)
def test_refuses_an_answer_that_is_not_http(head):
    with pytest.raises(HandshakeError, match="does not speak HTTP/1"):
        parse_head(head)


@pytest.mark.parametrize("line", ["", "A", ": 1", "A : 1", " A: 1", "\tfolded: 1", "é: 1", "A B: 1", "A\x0b: 1"])
def test_refuses_an_answer_with_a_malformed_header(line):
    with pytest.raises(HandshakeError, match="malformed header"):
        parse_head(f"HTTP/1.1 101 X\r\nGood: 1\r\n{line}\r\nGood: 1")
