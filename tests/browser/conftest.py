"""Fixtures: one Chromium for all tests, a server of each kind, and both together."""

import contextlib
import os
import signal

import pytest

from lab.redis_servers import RedisServer
from lab.servers import eventually

from ..live.needs import module, program
from ..live.scheduling import show_group
from .cable import Cable
from .chromium import Browser, check_console, start
from .coming_back import Page, Site
from .people import HOSTS, Person
from .servers import GUNICORN, KINDS, PROJECT, RUNSERVER, Example


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Keep those modules together whose tests share more than a Chromium; the tests of others go to any worker."""
    if config.getoption("loadgroup", False):
        for item in items:
            show_group(item)


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


def forget(driver):
    """Leave nothing of one test to the next: no page, no cookie, no line in the console."""
    driver.get("about:blank")
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    driver.get_log("browser")


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
    forget(driver)
    browsers = []

    def make(server, kind=Browser, *arguments):
        if not any(browser.server is server for browser in browsers):
            server.begin()
        browsers.append(kind(driver, server, *arguments))
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
    forget(driver)
    if browsers:
        check_console(entries, browsers)
    for browser in browsers:
        browser.server.check_log()


@pytest.fixture
def cables():
    """Return a function that makes a :class:`Cable` to a server."""
    made = []

    def make(server):
        made.append(Cable(lambda: server.port))
        return made[-1]

    yield make
    for cable in made:
        cable.close()


@pytest.fixture
def come(cables, chromium, driver):
    """Return a function by which somebody comes to a server, each in a window of their own; the first one in ours."""
    hosts = iter(HOSTS)

    def make(server, name):
        host = next(hosts)
        if host != HOSTS[0]:
            driver.switch_to.new_window("window")
        person = chromium(server, Person, host, cables(server))
        person.log_in(name)
        return person

    return make


@pytest.fixture(params=[RUNSERVER, GUNICORN], ids=str)
def chat(request, launch, tmp_path):
    """Return a server of each kind with an empty database; two workers have a Redis of their own."""
    if request.param is not GUNICORN:
        return launch(request.param)
    return launch(GUNICORN, PROJECT, {"REDIS_URL": request.getfixturevalue("redis_server").url})


@pytest.fixture
def redis_server(tmp_path):
    """Return a Redis of the test's own."""
    module("redis", "redis")
    program("redis-server", "redis-server")
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=KINDS, ids=str)
def browser(request, chromium, examples):
    """Return the browser, at a server of each kind."""
    return chromium(examples(request.param))


# Pages that come back


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    module("redis", "redis")
    program("redis-server", "redis-server")
    server = RedisServer(tmp_path_factory.mktemp("redis") / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def site(redis, tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"), redis)
    yield site
    site.stop()


@pytest.fixture
def server(site):
    """Return the site. Nothing may go wrong in it, whatever happens to it."""
    site.begin()
    yield site
    for pid in site.children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    eventually(site.is_ready)
    site.check_log()


@pytest.fixture
def quiet_driver(driver):
    """Return the Chromium. It complains of each connection that fails; nobody listens."""
    first = driver.current_window_handle
    yield driver
    for handle in driver.window_handles:
        if handle != first:
            driver.switch_to.window(handle)
            driver.close()
    driver.switch_to.window(first)
    forget(driver)


@pytest.fixture
def chromium_page(quiet_driver, server):
    return Page(quiet_driver, server)
