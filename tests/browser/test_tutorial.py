"""The pages of the tutorial in a browser."""

import pytest

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
    browser.until(lambda: browser.run("return socket.readyState"), lambda state: state == 1)
    browser.fill("#text", text)
    browser.click("#form button")


def test_two_tabs(server, chromium):
    """Guards the scripts and templates of the page: escaping, who is here, and what a tab has missed."""
    browser = chromium(server)
    # A fresh project has no icon.
    browser.expect("/favicon.ico")
    browser.open("/")
    browser.fill("#id_name", "tea")
    browser.click("form button")
    browser.until(lambda: browser.text("#here"), lambda text: text.startswith("Guest "))
    first = browser.driver.current_window_handle
    say(browser, TEXT)
    until_said(browser, TEXT)
    second = browser.new_tab()
    browser.open("/room/tea/")
    until_said(browser, TEXT)
    browser.driver.switch_to.window(first)
    # It comes back by itself, a second later at the earliest.
    browser.run("socket.close()")
    browser.driver.switch_to.window(second)
    say(browser, "missed")
    until_said(browser, TEXT, "missed")
    browser.driver.switch_to.window(first)
    until_said(browser, TEXT, "missed")
    assert browser.run("return document.querySelectorAll('#messages b').length") == 0
    # A position that the server does not know makes the page load anew, and it still has everything.
    browser.run("window.before = true; since = '00000000-1'; socket.close()")
    browser.until(lambda: browser.run("return window.before"), lambda before: before is None)
    until_said(browser, TEXT, "missed")
