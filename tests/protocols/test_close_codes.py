"""Which close codes and reasons may be sent, and which may come."""

import pytest

from django_websocket.protocols.close_codes import MAX_CLOSE_REASON, CloseCode, check_close, is_close_code

#: The codes of RFC 6455 section 7.4.1 that may stand in a frame, and those that IANA added.
DEFINED = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}


def test_the_codes_that_may_stand_in_a_close_frame():
    assert {code for code in range(-10, 70000) if is_close_code(code)} == DEFINED | set(range(3000, 5000))


def test_the_codes_have_names():
    never_sent = {CloseCode.NO_STATUS_RECEIVED, CloseCode.ABNORMAL_CLOSURE, CloseCode.TLS_HANDSHAKE}
    assert set(CloseCode) - never_sent == DEFINED
    assert not any(map(is_close_code, never_sent))


def is_sent(code):
    try:
        return check_close(code, "") == b""
    except ValueError as error:
        assert str(error) == f"not a close code that may be sent: {code}"  # noqa: PT017 - there are many of them
        return False


def test_a_close_may_carry_every_code_but_that_of_a_missing_extension():
    sent = DEFINED - {CloseCode.MANDATORY_EXTENSION} | set(range(3000, 5000))
    assert {code for code in range(-10, 70000) if is_sent(code)} == sent


@pytest.mark.parametrize("reason", ["", "bye", "\u2603", "\0", "a" * MAX_CLOSE_REASON, "\u2603" * 41, "é" * 61 + "a"])
def test_a_reason_becomes_utf_8(reason):
    assert check_close(CloseCode.NORMAL_CLOSURE, reason) == reason.encode()


@pytest.mark.parametrize("reason", ["a" * 124, "\u2603" * 41 + "a", "é" * 62, "\U0001f603" * 31, "a" * 10**6])
def test_a_reason_has_a_bounded_size(reason):
    with pytest.raises(ValueError, match="at most 123 bytes"):
        check_close(1000, reason)


@pytest.mark.parametrize("reason", ["\ud800", "a\udfff"])
def test_a_reason_has_no_half_of_a_character(reason):
    with pytest.raises(UnicodeEncodeError):
        check_close(1000, reason)


@pytest.mark.parametrize("code", ["1000", b"\x03\xe8", 1000.0, None, True, False, [1000]])
def test_a_code_is_an_int(code):
    with pytest.raises(TypeError):
        check_close(code, "")


@pytest.mark.parametrize("reason", [b"bye", bytearray(b"bye"), memoryview(b"bye"), None, 1, ["bye"]])
def test_a_reason_is_a_str(reason):
    with pytest.raises(TypeError):
        check_close(1000, reason)
