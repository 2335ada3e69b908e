"""The example's pages in a real browser: each does what it says, and nothing complains."""

import os
import re
import shutil
import signal

import pytest

from lab.servers import PATIENCE, eventually

from .chromium import Browser
from .servers import PROJECT, RELOADING, STOPPED

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.xdist_group("pages")]

PAGES = ["/echo/", "/both-ways/", "/about/"]
each_page = pytest.mark.parametrize("page", PAGES)


def open_echo(browser: Browser, path: str = "", subprotocols: str = "") -> None:
    browser.open("/echo/")
    browser.until_state("open")
    if path:
        browser.connect(path, subprotocols)
        browser.until_state("open")


# All pages


@each_page
def test_everything_comes_from_the_server(browser, page):
    """Guards against anything that is fetched from elsewhere."""
    browser.open(page)
    names = browser.until(
        lambda: browser.run(
            "return performance.getEntries().filter((entry) => ['navigation', 'resource'].includes(entry.entryType))"
            ".map((entry) => entry.name)"
        ),
        lambda names: sum(name.endswith(".js") for name in names) >= 2,
    )
    assert f"{browser.server.origin}{page}" in names
    assert any(name.endswith("/style.css") for name in names)
    assert [name for name in names if not name.startswith(f"{browser.server.origin}/")] == []


def test_navigation(browser):
    """Guards the way from page to page; the first one is the chat."""
    browser.open("/")
    assert browser("nav a[aria-current]").get_dom_attribute("href") == "/chat/"
    seen = []
    for page in [*PAGES, "/chat/"]:
        browser.click(f"nav a[href='{page}']")
        browser.until(
            lambda: browser("nav a[aria-current]").get_dom_attribute("href"), lambda href, page=page: href == page
        )
        seen.append(browser.text("h1"))
    assert len(set(seen)) == len(PAGES) + 1


# Echo


def test_text(browser):
    """Guards texts: what is sent is shown, comes back as it was, and is shown again."""
    open_echo(browser)
    texts = ["Hello", "Grüße ☃", "<b>not bold</b>"]
    for text in texts:
        number = len(browser.messages())
        browser.say(text)
        browser.until(browser.messages, lambda rows, number=number: len(rows) == number + 2)
    assert browser.messages() == [(way, "text", text) for text in texts for way in ("sent", "received")]
    assert (browser.text("#sent"), browser.text("#received")) == ("3", "3")


def test_empty_and_long_text(browser):
    """Guards an empty message, and one of more than 16 bits can count."""
    open_echo(browser)
    browser.click("#send")
    browser.until(browser.messages, lambda rows: rows == [("sent", "text", ""), ("received", "text", "")])
    browser.run("document.getElementById('message').value = 'x'.repeat(70000)")
    browser.click("#send")
    rows = browser.until(browser.messages, lambda rows: len(rows) == 4)
    assert rows[2][2] == rows[3][2]
    assert rows[3] == ("received", "text", "x" * 600 + " … and 69,400 more characters")


def test_a_hundred(browser):
    """Guards many messages, one after the other."""
    open_echo(browser)
    browser.unfold()
    browser.fill("#message", "again")
    browser.click("#send-many")
    browser.until_text("#received", "100")
    rows = browser.until(browser.messages, lambda rows: len(rows) >= 199)
    assert {text for _, _, text in rows} == {"again"}


@pytest.mark.parametrize("size", [0, 256, 100_000])
def test_file(browser, tmp_path, size):
    """Guards a file, which goes and comes as a binary message."""
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    path = tmp_path / "data.bin"
    path.write_bytes(data)
    open_echo(browser)
    browser.unfold()
    browser("#file").send_keys(str(path))
    browser.click("#send-file")
    shown = data[:32].hex(" ") + " …" * (size > 32)
    rows = [("sent", "binary", shown), ("received", "binary", shown)]
    browser.until(browser.messages, lambda present: present == rows)
    sizes = [text for text in browser.text("#log").split("binary · ")[1:] if text]
    assert {re.match(r"[\d.]+ \w?i?B", text)[0] for text in sizes} == {
        {0: "0 B", 256: "256 B", 100_000: "97.7 KiB"}[size]
    }


def test_close(browser):
    """Guards the browser's Close: the code comes back, which is the server's answer to it."""
    open_echo(browser)
    browser.unfold()
    browser.fill("#code", "4001")
    browser.fill("#reason", "enough ☃")
    browser.click("#disconnect")
    browser.until_state("closed")
    assert browser.text("#close-code") == "4001"
    assert browser.text("#close-reason").endswith("own code")
    assert not browser("#error").is_displayed()
    # And once more, from the same page.
    browser.fill("#code", "")
    browser.fill("#reason", "")
    browser.click("#connect")
    browser.until_state("open")
    browser.click("#disconnect")
    browser.until_state("closed")
    assert browser.text("#close-code") == "1005"


def test_view_returns(browser):
    """Guards the Close of a view that is done."""
    open_echo(browser, "/ws/echo_once/")
    browser.say("once")
    browser.until_state("closed")
    assert browser.text("#close-code") == "1000"
    rows = browser.until(browser.messages, lambda rows: len(rows) == 2)
    assert rows[1] == ("received", "text", "once")


def test_view_fails(browser):
    """Guards the Close of a view that raises an exception, which stands in the server's log."""
    browser.server.fails("ValueError: invalid literal for int() with base 10: 'x'")
    open_echo(browser, "/add_one/")
    browser.say("x")
    browser.until_state("closed")
    assert browser.text("#close-code") == "1011"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [("about.v1, about.v2", "about.v2"), ("about.v1", "about.v1"), ("other, about.v1", "about.v1"), ("", "none")],
)
def test_subprotocol(browser, offered, chosen):
    """Guards the negotiation: the first of the view's own that the browser offers."""
    open_echo(browser, "/ws/about/", offered)
    assert browser.text("#subprotocol-accepted") == chosen


def test_no_common_subprotocol(browser):
    """Guards a browser that offers only what the view does not speak: the server takes it, and the browser leaves."""
    browser.expect("WebSocket connection to")
    open_echo(browser)
    browser.connect("/ws/about/", "other")
    browser.until(lambda: browser("#error").is_displayed())
    assert browser.state() == "closed"
    assert browser.text("#close-code") == "1006"


@pytest.mark.parametrize(
    ("path", "status"), [("/about/", 400), ("/nowhere/", 404)], ids=["no WebSockets here", "no such address"]
)
def test_refused(browser, path, status):
    """Guards refusals: the browser sees the status, and the page says that no WebSocket came about."""
    browser.expect(f"Unexpected response code: {status}")
    open_echo(browser)
    browser.connect(path)
    browser.until(lambda: browser("#error").is_displayed())
    assert browser.text("#error").startswith("No WebSocket came about")
    assert browser.state() == "closed"
    assert browser.text("#close-code") == "1006"
    # The page is none the worse for it.
    browser.connect("/ws/echo/")
    browser.until_state("open")
    assert not browser("#error").is_displayed()


def test_another_origin(browser):
    """Guards against pages of other sites: the same server by another name is refused."""
    browser.expect("Unexpected response code: 403")
    browser.driver.get(f"http://localhost:{browser.server.port}/echo/")
    browser.until_state("open")
    browser.connect(browser.server.url("/ws/echo/"))
    browser.until(lambda: browser("#error").is_displayed())
    assert browser.state() == "closed"


# The other pages


@pytest.mark.parametrize(
    ("form", "asked", "answer"),
    [("#lower-case", "HELLO, Grüße ÀÉ", "hello, grüße àé"), ("#add-one", "41", "42"), ("#add-one", "-1", "0")],
)
def test_both_ways(browser, form, asked, answer):
    """Guards that one view answers both ways, and the same."""
    browser.open("/both-ways/")
    browser.fill(f"{form}-input", asked)
    for _ in range(2):
        browser.click(f"{form} .ask")
        for way in ("http", "websocket"):
            browser.until_text(f"{form} [data-way={way}] .answer", answer)
    assert browser.text(f"{form} .status") == "Open"


def test_both_ways_fail(browser):
    """Guards a view that fails both ways: 500 here, 1011 there, and a traceback each in the server's log."""
    browser.server.fails("ValueError: invalid literal for int() with base 10: 'x'", times=2)
    browser.expect("500 (Internal Server Error)")
    browser.open("/both-ways/")
    browser.fill("#add-one-input", "x")
    browser.click("#add-one .ask")
    browser.until(
        lambda: browser.text("#add-one [data-way=websocket] .answer"),
        lambda answer: answer.startswith("Closed with 1011"),
    )
    browser.until(lambda: browser.text("#add-one [data-way=http] .answer"), lambda answer: answer.startswith("500"))


def test_about(browser):
    """Guards what the view knows of its connection, the session of the page among it."""
    browser.open("/about/")
    browser.until_state("open")
    browser.until_text("[data-fact=version]", "13 (RFC 6455)")
    facts = {
        fact: browser.text(f"[data-fact={fact}]")
        for fact in ("subprotocol", "offered_subprotocols", "path", "host", "origin", "client", "pages_seen", "user")
    }
    assert facts == {
        "subprotocol": "about.v2",
        "offered_subprotocols": "about.v1, about.v2",
        "path": "/ws/about/",
        "host": browser.server.host,
        "origin": browser.server.origin,
        "client": "127.0.0.1",
        "pages_seen": "1 page seen",
        "user": "AnonymousUser",
    }
    assert browser.text("[data-fact=user_agent]") == browser.run("return navigator.userAgent")
    # The server's ping is answered by the browser, and its time is told with a later answer.
    browser.until(lambda: browser.text("[data-fact=latency]"), lambda text: re.fullmatch(r"[\d.]+ m?s", text))
    # The chart has a scale, with its unit, on which all points have room.
    top = re.fullmatch(r"([\d.]+) ms", browser.text("#top"))[1]
    assert float(browser.text("#middle").removesuffix(" ms")) == float(top) / 2
    assert browser("#chart").get_dom_attribute("aria-label").endswith(f"from 0 to {top} ms")
    for line in ("#question-line", "#ping-line"):
        points = [point.split(",") for point in browser(line).get_dom_attribute("points").split()]
        assert points
        assert all(0 <= float(x) <= 300 and 0 <= float(y) <= 100 for x, y in points)
    browser.click("#disconnect")
    browser.until_state("closed")
    assert browser.text("#close-code").startswith("1005")


# The server goes


@pytest.mark.parametrize("kind", STOPPED, ids=str)
@pytest.mark.parametrize("how", ["by a supervisor", "in a terminal"])
def test_server_stops(chromium, launch, kind, how):
    """Guards the goodbye of a server that is stopped: code 1012, in every tab."""
    server = launch(kind)
    browser = chromium(server)
    first = browser.driver.current_window_handle
    open_echo(browser)
    browser.say("Hello")
    browser.until(browser.messages, lambda rows: len(rows) == 2)
    browser.new_tab()
    open_echo(browser)
    if how == "by a supervisor":
        # It knows the process that it has started.
        os.kill(server.process.pid, signal.SIGTERM)
    else:
        # Ctrl-C is for the parent and its child.
        server.signal(signal.SIGINT)
    for tab in (browser.driver.current_window_handle, first):
        browser.driver.switch_to.window(tab)
        browser.until_state("closed")
        assert browser.text("#close-code") == "1012"
    server.process.wait(PATIENCE)


def test_server_restarts(chromium, launch, tmp_path):
    """Guards the goodbye when code has changed: code 1012, and the page can connect again."""
    project = tmp_path / "example_project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    server = launch(RELOADING, project)
    browser = chromium(server)
    open_echo(browser)
    with (project / "example_project" / "views.py").open("a") as views:
        views.write("# changed\n")
    browser.until_state("closed")
    assert browser.text("#close-code") == "1012"
    eventually(server.is_ready)
    browser.click("#connect")
    browser.until_state("open")
    browser.say("Hello again")
    browser.until(browser.messages, lambda rows: ("received", "text", "Hello again") in rows)
