"""The example's pages on every screen, in both colour schemes, for everybody: axe-core looks at them, and rulers do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .chromium import Browser
from .npm import install
from .people import Person
from .servers import RUNSERVER

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.xdist_group("looks")]

AXE = "axe-core@4.14.1"
#: What axe-core looks for: levels A and AA of WCAG 2.2, and what it calls good practice.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOK = """
const [rules, done] = arguments;
// Some things lie below others until one scrolls, and axe-core is not sure of their colours.
const isCovered = ({ any }) => any.some(({ message }) => /overlapped|obscured/.test(message));
axe.run({ runOnly: rules, resultTypes: ["violations", "incomplete"] }).then(({ violations, incomplete }) =>
  done([...violations, ...incomplete.filter(({ nodes }) => !nodes.every(isCovered))].map(({ id, nodes }) =>
    [id, nodes.map(({ html, any }) => [html.slice(0, 200), any.map(({ message }) => message)])])));
"""
#: Everything that can be hit with a finger.
TARGETS = "a, button, input:not([type=hidden]), textarea, summary"
#: Pixels that a finger needs in each direction.
FINGER = 44

SCREENS = [(320, 568), (390, 844), (768, 1024), (1280, 800), (1920, 1080)]
PHONES = SCREENS[:2]
DESK = (1280, 800)
SCHEMES = ["light", "dark"]
STATES = ["none", "connecting", "open", "closing", "returning", "closed"]


def use_echo(page: Person) -> None:
    page.open("/echo/")
    page.until_state("open")
    page.say("Hello")
    page.until(page.messages, lambda rows: len(rows) == 2)
    page.unfold()
    page.click("#disconnect")
    page.until_state("closed")


def use_both_ways(page: Person) -> None:
    page.open("/both-ways/")
    page.click("#add-one .ask")
    for way in ("http", "websocket"):
        page.until_text(f"#add-one [data-way={way}] .answer", "42")


def use_about(page: Person) -> None:
    page.open("/about/")
    page.until(lambda: page("#ping-line").get_dom_attribute("points"))


def use_rooms(page: Person) -> None:
    page.open_room("Kitchen")
    page.say("Hello")
    page.until_talk(("Ada", "Hello"))
    page.open("/chat/")
    page.until_state("open")


def use_room(page: Person) -> None:
    page.open_room("Kitchen")
    page.say("Hello")
    page.until_talk(("Ada", "Hello"))


def use_door(page: Person) -> None:
    page.click("#log-out")
    page.until(lambda: page("#name").is_displayed())


each_page = pytest.mark.parametrize(
    "use", [use_door, use_rooms, use_room, use_echo, use_both_ways, use_about], ids=lambda use: use.__name__[4:]
)


@pytest.fixture
def page(launch, come) -> Person:
    """Return the browser of somebody who may see every page."""
    return come(launch(RUNSERVER), "Ada")


@pytest.fixture(scope="module")
def axe_core(tmp_path_factory) -> str:
    """Return the script of axe-core."""
    programs = install(tmp_path_factory.mktemp("npm"), AXE)
    return (programs.parent / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def axe(axe_core, page) -> Callable[..., list[list[object]]]:
    """Return a function that has axe-core look at the page, and returns what it complains of or is not sure of."""

    def look(rules: list[str] = RULES) -> list[list[object]]:
        page.run(f"if (!window.axe) {{ {axe_core} }}")
        return page.driver.execute_async_script(LOOK, rules)

    return look


def reveal(page: Browser) -> None:
    """Show what the page shows at times: errors, announcements, badges."""
    page.run(
        "for (const one of document.querySelectorAll('main [hidden]:not(.empty)')) {"
        " one.hidden = false;"
        " if (!one.textContent.trim()) one.textContent = 'Something to read';"
        "}"
    )


@each_page
def test_everybody_can_use_it(page, axe, use):
    """Guards WCAG AA, as far as axe-core can measure it."""
    use(page)
    reveal(page)
    for scheme in SCHEMES:
        for size in (PHONES[0], DESK):
            with page.screen(*size, scheme):
                assert axe() == [], (scheme, size)


@each_page
def test_nothing_is_wider_than_the_window_or_smaller_than_a_finger(page, use):
    """Guards phones and wide screens; staff have a link more than others."""
    page.server.manage("shell", "-c", "from django.contrib.auth.models import User; User.objects.update(is_staff=True)")
    use(page)
    reveal(page)
    for size in SCREENS:
        with page.screen(*size):
            wider = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.run(wider) <= 0, size
            assert (
                page.run(
                    f"return Array.from(document.querySelectorAll('{TARGETS}')).filter((one) => one.checkVisibility())"
                    ".map((one) => [one.outerHTML.slice(0, 100), one.getBoundingClientRect()])"
                    f".filter(([, {{ width, height }}]) => width < {FINGER} || height < {FINGER})"
                )
                == []
            ), size


@pytest.mark.parametrize("size", [*PHONES, DESK], ids=str)
def test_the_message_box_and_the_answer_are_seen_together(page, size):
    """Guards that nobody has to scroll between what is written and what comes back, however much has come."""
    with page.screen(*size):
        page.open("/echo/")
        page.until_state("open")
        for number in range(1, 13):
            page.say(f"Message {number}")
            page.until(page.messages, lambda rows, number=number: len(rows) == 2 * number)
        # The list goes to its end in a moment.
        page.until(
            lambda: page.run(
                "const inside = (inner, outer) => inner.top >= outer.top && inner.bottom <= outer.bottom + 1;"
                "const log = document.getElementById('log');"
                "const [list, answer, box] = [log, log.lastElementChild, document.getElementById('message')]"
                ".map((one) => one.getBoundingClientRect());"
                "const window_ = { top: 0, bottom: innerHeight };"
                "return scrollY === 0 && inside(answer, list) && inside(answer, window_) && inside(box, window_)"
                " && answer.bottom <= box.top"
            )
        )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_state_of_a_connection_is_seen(page, axe, scheme):
    """Guards the colours of the states: each can be read, and what is open, coming back and closed differ."""
    use_room(page)
    with page.screen(*DESK, scheme):
        colours = {}
        for state in STATES:
            page.run(f"document.getElementById('status').dataset.state = '{state}'")
            assert axe(["color-contrast"]) == [], state
            colours[state] = page.run("return getComputedStyle(document.getElementById('status')).color")
    assert len({colours[state] for state in ("open", "returning", "closed")}) == 3
