"""Input for protocols of every version: values that are not clean, and bytes in pieces."""

from __future__ import annotations

#: Header values that WSGI servers let through, and that must never reach an answer of ours.
UNCLEAN = ["a b", "a ", " a", "a\tb", "a\r\nX: 1", "a\r\n X: 1", "a\nb", "a\rb", "a\0b", "a\x0bb", "a\x1cb", "a\x7f"]
UNCLEAN += ["a\x85b", "é", "a\u2028b", "\ud800"]


def feed(protocol, data, *cuts):
    """Return the messages in ``data``, received in pieces that end at ``cuts`` as a connection receives them.

    No piece is empty, because that would be the end of the stream.
    """
    messages = []
    cuts = sorted({cut for cut in cuts if 0 < cut < len(data)})
    for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
        start = protocol.take_whole_messages(data[:stop], messages, start)  # noqa: PLW2901 - the rest of the piece
        messages += protocol.receive(data[start:stop]) if start < stop else []
    return messages
