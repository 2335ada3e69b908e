"""Fixtures: one Chromium for all tests, a server of each kind, and both together."""

import pytest

from ..live.needs import program
from .chromium import Browser, start
from .servers import KINDS, Example


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """Return a Chromium."""
    chromium = program("chromium", "chromium")
    chromedriver = program("chromedriver", "chromium-driver")
    with pytest.MonkeyPatch.context() as patch:
        # A proxy is for elsewhere, if there is one.
        patch.setenv("no_proxy", "localhost,127.0.0.1")
        driver = start(chromium, chromedriver, tmp_path_factory.mktemp("chromium"))
        yield driver
        driver.quit()


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    """Return the servers of the session, started when a test first asks for them."""
    running = {}

    def get(kind):
        if kind.name not in running:
            running[kind.name] = Example(kind, tmp_path_factory.mktemp(kind.name) / "log")
        return running[kind.name]

    yield get
    for server in running.values():
        server.stop()


@pytest.fixture
def launch(tmp_path):
    """Start a server for one test."""
    running = []

    def start_one(*arguments):
        server = Example(arguments[0], tmp_path / f"log{len(running)}", *arguments[1:])
        running.append(server)
        return server

    yield start_one
    for server in running:
        server.stop()


@pytest.fixture
def chromium(driver):
    """Return a function that makes a :class:`Browser` of a server; see what the test leaves in consoles and logs."""
    first = driver.current_window_handle
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browsers = []

    def make(server):
        server.begin()
        browsers.append(Browser(driver, server))
        return browsers[-1]

    yield make
    entries = []
    for handle in driver.window_handles:
        driver.switch_to.window(handle)
        entries += driver.get_log("browser")
        driver.get("about:blank")
        if handle != first:
            driver.close()
    driver.switch_to.window(first)
    for browser in browsers:
        browser.check_console(entries)
        browser.server.check_log()


@pytest.fixture(params=KINDS, ids=str)
def browser(request, chromium, examples):
    """Return the browser, at a server of each kind."""
    return chromium(examples(request.param))
