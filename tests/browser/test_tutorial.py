"""The pages of the tutorial in a browser."""

import pytest

from lab.servers import HOST

from ..live.tutorial import Tutorial

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

#: What tells markup from text.
TEXT = "<b>hello</b> & good bye"


@pytest.fixture
def server(tmp_path):
    tutorial = Tutorial(tmp_path)
    server = tutorial.serve(tutorial.go_on("runserver"))
    yield server
    server.stop()


def said(browser):
    return browser.run("return Array.from(document.querySelectorAll('#messages > li'), (item) => item.textContent)")


def until_said(browser, *texts):
    """Wait until the page shows these messages, and no others."""
    browser.until(lambda: said(browser), lambda shown: [row.partition(": ")[2] for row in shown] == list(texts))


def say(browser, text):
    browser.fill("#text", text)
    browser.click("#form button")


def until_state(browser, state):
    browser.until(lambda: browser.text("#state"), lambda shown: shown == state)


def test_two_tabs(server, chromium, cables):
    """Guards the scripts and templates of the page: escaping, who is here, and what a tab has missed."""
    cable = cables(server)
    browser = chromium(server)
    # A fresh project has no icon; the others come while it cannot be reached.
    browser.tolerate("/favicon.ico", "WebSocket connection to", "net::ERR_")
    browser.driver.get(f"http://{HOST}:{cable.port}/")
    browser.fill("#id_name", "tea")
    browser.click("form button")
    browser.until(lambda: browser.text("#here"), lambda text: text.startswith("Guest "))
    until_state(browser, "Connected")
    first = browser.driver.current_window_handle
    say(browser, TEXT)
    until_said(browser, TEXT)
    second = browser.new_tab()
    browser.open("/room/tea/")
    until_said(browser, TEXT)
    browser.driver.switch_to.window(first)
    cable.cut()
    until_state(browser, "Coming back")
    say(browser, "written meanwhile")
    browser.driver.switch_to.window(second)
    say(browser, "missed")
    until_said(browser, TEXT, "missed")
    cable.mend()
    for window in (first, second):
        browser.driver.switch_to.window(window)
        until_said(browser, TEXT, "missed", "written meanwhile")
        until_state(browser, "Connected")
    browser.driver.switch_to.window(first)
    assert browser.run("return document.querySelectorAll('#messages b').length") == 0
    # A server that starts anew does not know the position. The page is loaded anew, and still has everything.
    browser.run("window.before = true")
    server.stop()
    until_state(browser, "Coming back")
    say(browser, "without a server")
    server.start()
    browser.until(lambda: browser.run("return window.before"), lambda before: before is None)
    until_said(browser, TEXT, "missed", "written meanwhile", "without a server")
    until_state(browser, "Connected")
