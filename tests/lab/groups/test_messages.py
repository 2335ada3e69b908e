"""The text of messages."""

import pytest

from lab.groups.messages import compose, parse


@pytest.mark.parametrize("size", [0, 125, 4000])
def test_what_was_composed_is_parsed(size):
    text = compose("p.0", 17, 12.5, size)
    assert parse(text) == parse(text.encode()) == ("p.0", 17, 12.5)
    assert len(text) == max(size, len("p.0 17 12.500000 "))


def test_another_text():
    with pytest.raises(ValueError, match="unpack"):
        parse("another")
