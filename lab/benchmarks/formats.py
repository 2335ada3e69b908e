"""Figures and rows as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def amount(value: float | None) -> str:
    """Return a number with three significant digits, or ``-`` for ``None``."""
    if value is None:
        return "-"
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def whole(value: float | None) -> str:
    """Return a number without decimals, or ``-`` for ``None``."""
    return "-" if value is None else f"{value:.0f}"


def microseconds(value: float | None) -> str:
    """Return a time: below 100 with three significant digits, else without decimals."""
    return amount(value) if value is None or value < 100 else whole(value)


def ratio(value: float | None) -> str:
    """Return a ratio with two decimals, or ``-`` for ``None``."""
    return "-" if value is None else f"{value:.2f}"


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Return aligned rows, with the first column on the left and the others on the right."""
    count = max(map(len, rows))
    # A row of two cells is a name and a text of any length, which does not widen its column.
    widths = [max((len(row[n]) for row in rows if len(row) > max(n, 2)), default=0) for n in range(count)]
    for row in rows:
        first, *others = row
        if len(row) == 2:
            yield f"{first:{widths[0]}}  {others[0]}"
        else:
            yield "  ".join(
                [f"{first:{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=False))]
            )


def row(cells: Sequence[str]) -> Iterator[str]:
    """Return the lines of a row of a ``list-table``."""
    for number, cell in enumerate(cells):
        yield f"    {'  ' if number else '* '}- {cell}".rstrip()
