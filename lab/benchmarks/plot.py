"""The results as a drawing in SVG: bars beside the line of the raw socket, for a light or a dark page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from .figures import Summary, summarize, summarize_publishing
from .formats import ratio
from .results import Results
from .scenarios import FRESH, Scenario
from .servers import MODELS, SERVERS, Server

WIDTH: Final = 860
LABELS: Final = 196
COLUMNS: Final = 3
#: Space for the number of a bar that reaches the end.
GAP: Final = 44
ROW: Final = 21
BAR: Final = 12
#: Height of the titles and the axis above the rows of a band.
TOP: Final = 46
#: Height of the name of a model above its rows.
HEADING: Final = 25
#: A bar is cut off at this ratio; the number beside it is not.
MOST: Final = 3.0


@dataclass(frozen=True)
class Colours:
    """The colours for one kind of page."""

    #: The colour of the page itself, which sets numbers off from the lines behind them.
    ground: str
    text: str
    faint: str
    grid: str
    line: str
    ours: str
    peer: str


@dataclass(frozen=True)
class Page:
    """The measures that all bars of a drawing share."""

    colours: Colours
    #: The ratio at the right end, and the width up to there.
    most: float
    width: float = (WIDTH - LABELS - GAP * COLUMNS) / COLUMNS

    def x(self, value: float) -> float:
        """Return the distance of a ratio from the left end of its column."""
        return min(value, self.most) * self.width / self.most

    def left(self, column: int) -> float:
        """Return the position where a column begins."""
        return LABELS + column * (self.width + GAP)


LIGHT: Final = Colours("#ffffff", "#1f2933", "#5f6b7a", "#e3e7ec", "#a33a2a", "#1f7a5c", "#9fb0c3")
DARK: Final = Colours("#131416", "#e6eaf0", "#9aa7b5", "#333c47", "#f08a78", "#4cc79a", "#5a6b7f")


def draw(results: Results, fans: Results | None = None, *, dark: bool = False) -> str:
    """Return the drawing of all scenarios that have ratios: echoes, and publishing if there are ``fans``."""
    colours = DARK if dark else LIGHT
    found = [
        (scenario, {each.server: each for each in summarize(results.records, scenario)})
        for scenario in map(Scenario.parse, results.scenarios)
        if scenario.mode not in FRESH
    ]
    if fans is not None:
        found += [
            (scenario, {each.server: each for each in summarize_publishing(fans.records, scenario)})
            for scenario in map(Scenario.parse, fans.scenarios)
            if scenario.mode == "fan"
        ]
    bands = [found[start : start + COLUMNS] for start in range(0, len(found), COLUMNS)]
    page = Page(colours, _scale([each for _, summaries in found for each in summaries.values()]))
    body: list[str] = []
    y = 8
    for band in bands:
        rows = _rows([summaries for _, summaries in band])
        height = TOP + sum(HEADING if isinstance(row, str) else ROW for row in rows)
        body += _band(band, rows, y, height, page)
        y += height + GAP
    body += _legend(y, colours)
    label = "Messages a second as a multiple of the raw socket server of the same kind"
    style = (
        "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
        ".title{font-weight:600}.small{font-size:11px}.number{font-variant-numeric:tabular-nums}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 24}" role="img" aria-label="{label}">'
    return "\n".join([head, f"<style>{style}</style>", *body, "</svg>", ""])


def _scale(summaries: Sequence[Summary]) -> float:
    """Return the ratio at the right end: the highest one rounded up to a quarter, from 1.25 to :data:`MOST`."""
    highest = max((each.ratio for each in summaries if each.ratio is not None and _shown(each.server)), default=1.0)
    return min(MOST, max(1.25, -(-highest * 4 // 1) / 4))


def _shown(name: str) -> bool:
    return name in SERVERS and not SERVERS[name].limit


def _rows(columns: Sequence[dict[str, Summary]]) -> list[str | Server]:
    """Return the rows of a band: the name of each model, and its servers after it."""
    rows: list[str | Server] = []
    for model, title in MODELS.items():
        servers = [server for server in SERVERS.values() if server.model == model and _shown(server.name)]
        there = [server for server in servers if any(server.name in summaries for summaries in columns)]
        rows += [title, *there] if there else []
    return rows


def _text(x: float, y: float, text: str, fill: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}"{more}>{escape(text)}</text>'


def _band(
    band: Sequence[tuple[Scenario, dict[str, Summary]]], rows: Sequence[str | Server], top: int, height: int, page: Page
) -> Iterator[str]:
    """Draw up to three scenarios beside one another, with the names of their servers on the left."""
    colours = page.colours
    for column, (scenario, _) in enumerate(band):
        left = page.left(column)
        yield _text(left, top + 14, scenario.title, colours.text, ' class="title"')
        for half in range(int(page.most * 2) + 1):
            x = left + page.x(half / 2)
            raw = half == 2
            yield f'<path d="M{x:.1f} {top + 36}V{top + height}" stroke="{colours.line if raw else colours.grid}"/>'
            more = ' class="small number" text-anchor="middle"'
            yield _text(x, top + 30, f"{half / 2:g}", colours.line if raw else colours.faint, more)
    y = float(top + TOP)
    for row in rows:
        if isinstance(row, str):
            yield _text(0, y + HEADING - 8, row, colours.text, ' class="title"')
            y += HEADING
            continue
        more = ' font-weight="600"' if row.ours else ""
        yield _text(12, y + ROW / 2 + 4, row.title, colours.ours if row.ours else colours.text, more)
        for column, (_, summaries) in enumerate(band):
            if row.name in summaries:
                fill = colours.ours if row.ours else colours.peer
                yield from _bar(summaries[row.name], page.left(column), y + ROW / 2, fill, page)
        y += ROW


def _bar(summary: Summary, left: float, middle: float, fill: str, page: Page) -> Iterator[str]:
    """Draw one ratio: its bar, the range of its rounds, and the number."""
    colours = page.colours
    more = f' class="small number" stroke="{colours.ground}" stroke-width="3" paint-order="stroke"'
    if summary.ratio is None or summary.low is None or summary.high is None:
        yield _text(left + 4, middle + 4, "failed" if summary.amount is None else "-", colours.faint, more)
        return
    end, low, high = map(page.x, (summary.ratio, summary.low, summary.high))
    rounds = f"{ratio(summary.ratio)}, rounds {ratio(summary.low)} to {ratio(summary.high)}"
    size = f'width="{max(end, 1):.1f}" height="{BAR}" rx="2"'
    yield f'<rect x="{left:.1f}" y="{middle - BAR / 2:.1f}" {size} fill="{fill}"><title>{rounds}</title></rect>'
    yield f'<path d="M{left + low:.1f} {middle:.1f}H{left + high:.1f}" stroke="{colours.faint}" stroke-width="1.5"/>'
    yield _text(left + max(end, high) + 5, middle + 4, ratio(summary.ratio), colours.text, more)


def _legend(y: float, colours: Colours) -> Iterator[str]:
    x, small = float(LABELS), ' class="small"'
    for text, fill in (("django-websocket", colours.ours), ("others", colours.peer)):
        yield f'<rect x="{x:.1f}" y="{y - 4:.1f}" width="{BAR}" height="{BAR}" rx="2" fill="{fill}"/>'
        yield _text(x + BAR + 6, y + 6, text, colours.text, small)
        x += 134
    yield f'<path d="M{x:.1f} {y - 6:.1f}v16" stroke="{colours.line}"/>'
    yield _text(
        x + 7,
        y + 6,
        "the limit, mostly raw sockets; thin lines: the range of the rounds",
        colours.text,
        small,
    )
