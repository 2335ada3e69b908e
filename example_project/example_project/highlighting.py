"""Python source as HTML."""

import io
import keyword
import token
import tokenize

from django.utils.html import escape, format_html
from django.utils.safestring import mark_safe


def highlighted(source):
    """Return Python source as HTML with light syntax highlighting; all of its characters are kept, and escaped."""
    lines = source.splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in range(len(lines) + 1)]
    html, done, previous = [], 0, ""
    for part in tokenize.generate_tokens(io.StringIO(source).readline):
        start, end = (starts[row - 1] + column for row, column in (part.start, part.end))
        if style := style_of(part, previous):
            html += [escape(source[done:start]), format_html('<span class="{}">{}</span>', style, source[start:end])]
            done = end
        if part.type not in {token.NEWLINE, token.NL, token.INDENT, token.DEDENT}:
            previous = part.string
    return mark_safe("".join([*html, escape(source[done:])]).rstrip("\n"))  # noqa: S308  escaped above


def style_of(part, previous):
    """Return the CSS class of a token, ``""`` for none; ``previous`` is the string of the token before it."""
    if part.type == token.COMMENT:
        return "comment"
    if token.tok_name[part.type].lstrip("FT").startswith("STRING"):  # from Python 3.12 f-strings come in pieces
        return "string"
    if part.type == token.NUMBER:
        return "number"
    if part.type == token.NAME and keyword.iskeyword(part.string):
        return "keyword"
    if part.type == token.NAME and previous in {"def", "class"}:
        return "name"
    if part.string == "@" or previous == "@":
        return "decorator"
    return ""
