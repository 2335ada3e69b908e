"""The browser module in Chromium and Firefox, at a real gunicorn that is restarted, stopped and killed."""

import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import threading
import time

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Message, Request

from lab.servers import HOST, PATIENCE, eventually

from ..live.needs import program
from .coming_back import Page
from .firefox import Firefox
from .npm import install

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.xdist_group("coming back")]

#: Pages that come back after one restart.
CLIENTS = 200
#: Waits that no test waits for.
NEVER = {"min": 2**31 - 1, "max": 2**31 - 1}


@pytest.fixture(scope="session")
def firefox(tmp_path_factory):
    browser = Firefox(program("firefox-esr", "firefox-esr"), tmp_path_factory.mktemp("firefox") / "profile")
    yield browser
    browser.quit()


@pytest.fixture(params=["chromium", "firefox"])
def page(request, server):
    driver = request.getfixturevalue("quiet_driver" if request.param == "chromium" else "firefox")
    yield Page(driver, server)
    driver.get("about:blank")


# Restarts


def test_the_server_restarts(page):
    """Guards that nothing is missed, nothing is lost, and nothing comes twice."""
    page.open()
    page.until_open()
    page.run("socket.send('before')")
    page.until_messages("before")
    page.run("socket.addEventListener('reconnecting', () => socket.send('meanwhile'), { once: true })")
    page.server.restart()
    page.server.publish("missed or not")
    seen = page.until_open(2)
    assert seen["lost"][0]["code"] == 1012
    page.run("socket.send('after')")
    page.until("socket.seen.messages", lambda messages: "after" in messages)
    seen = page.seen()
    assert sorted(seen["messages"]) == ["after", "before", "meanwhile", "missed or not"]
    assert seen["groups"] == ["room"] * 4
    assert "since=" in seen["opened"][-1][1]
    assert (seen["gaps"], seen["closed"]) == ([], [])


def test_the_server_is_killed(page):
    page.open()
    page.until_open()
    page.run("socket.send('before')")
    page.until_messages("before")
    os.kill(page.server.pid, signal.SIGKILL)
    seen = page.until_open(2)
    assert seen["lost"][0]["code"] == 1006
    page.server.publish("after")
    page.until_messages("before", "after")


def test_the_server_is_suspended(page):
    """It takes connections and answers none: each attempt is given up, and the first one that is answered is used."""
    page.open()
    page.until_open()
    page.run("socket.close(); socket = start('/talk/', { min: 10, max: 100, timeout: 300 })")
    page.until_open()
    page.run("socket.send('before')")
    page.until("socket.seen.messages", lambda messages: messages[-1:] == ["before"])
    worker = page.server.pid
    os.kill(worker, signal.SIGSTOP)
    page.run("socket.reconnect(); socket.send('meanwhile')")
    page.until("socket.seen.lost.length", lambda lost: lost > 3)
    assert {lost["reason"] for lost in page.seen()["lost"][1:]} == {"timeout"}
    # Nothing that is given up stays.
    assert page.run("return socket.readyState") == 0
    os.kill(worker, signal.SIGCONT)
    page.until_open(2)
    page.until("socket.seen.messages", lambda messages: messages[-1:] == ["meanwhile"])
    assert page.seen()["messages"] == ["before", "meanwhile"]


def test_the_history_is_gone(page, redis):
    """What is not kept any more is a gap."""
    page.open()
    page.until_open()
    page.run("socket.send('before')")
    page.until_messages("before")
    page.run("socket.close()")
    page.until("socket.readyState === 3")
    redis.client().flushall()
    page.server.publish("another epoch")
    page.run("socket = start('/talk/?since=00000000-5')")
    page.until("socket.seen.gaps", lambda gaps: [gap["group"] for gap in gaps] == ["room"])


@pytest.mark.parametrize(("code", "comes_back"), [(1000, False), (1001, True), (1011, True), (4401, False)])
def test_codes(page, code, comes_back):
    page.open()
    page.until_open()
    options = json.dumps({"min": 10, "max": 50})
    page.run(f"socket.close(); socket = start('/ends/{code}/', {options})")
    if comes_back:
        page.until("socket.seen.lost.length", lambda lost: lost >= 3)
        assert {lost["code"] for lost in page.seen()["lost"]} == {code}
        page.run("socket.close()")
    page.until("socket.readyState === 3")
    seen = page.seen()
    assert len(seen["closed"]) == 1
    if not comes_back:
        assert (seen["closed"], seen["lost"]) == ([[code, "as was asked for"]], [])


# The gap


class Slow:
    """A server that takes its time between its Close and the end of the connection."""

    def __init__(self):
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(PATIENCE)
        self.port = self._listener.getsockname()[1]
        self.closing = threading.Event()
        self.go_on = threading.Event()
        self.got = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def join(self):
        self._thread.join(PATIENCE)
        self._listener.close()

    def _serve(self):
        with contextlib.suppress(OSError):  # What did not come is missing in the assertions.
            for first in (True, False):
                self._serve_one(first=first)

    def _serve_one(self, *, first):
        sock, _ = self._listener.accept()
        sock.settimeout(PATIENCE)
        protocol = WSConnection(ConnectionType.SERVER)
        with sock:
            while not self._handle(sock, protocol, first=first):
                protocol.receive_data(sock.recv(4096) or None)

    def _handle(self, sock, protocol, *, first):
        """Return whether this connection ends."""
        for event in protocol.events():
            if isinstance(event, Request):
                sock.sendall(protocol.send(AcceptConnection()))
                if first:
                    sock.sendall(protocol.send(CloseConnection(1012)))
            elif isinstance(event, CloseConnection):
                # The answer of the browser: from now on it drops what it is to send.
                self.closing.set()
                return self.go_on.wait(PATIENCE)
            elif isinstance(event, Message):
                self.got.append(event.data)
                return True
        return False


def test_what_is_sent_in_the_gap_is_not_lost(page):
    """Guards the time between the Close of the server and the end of the connection."""
    slow = Slow()
    page.open()
    page.until_open()
    page.run(f"socket = start('ws://{HOST}:{slow.port}/', {{ min: 10, max: 20 }})")
    assert slow.closing.wait(PATIENCE)
    # Whatever the state of the socket is now.
    page.run("socket.send('in the gap')")
    slow.go_on.set()
    slow.join()
    assert slow.got == ["in the gap"]
    page.run("socket.close()")


# The page


def test_offline(chromium_page):
    page = chromium_page
    page.open()
    page.until_open()
    conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": True, **conditions})
    try:
        page.until("!navigator.onLine")
        page.server.restart()
        (lost,) = page.until("socket.seen.lost")
        # It waits for the event, or for longer than this test.
        assert lost["delay"] == 30000
    finally:
        page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": False, **conditions})
    seen = page.until_open(2)
    assert len(seen["lost"]) == 1


def test_a_hidden_page(chromium_page):
    """It stays connected while it is hidden, comes back in the background, and at once when it is shown."""
    page = chromium_page
    page.open()
    page.until_open()
    # Its message comes back when it is a member of the room, which is after the handshake.
    page.run("socket.send('before')")
    page.until_messages("before")
    page.run(f"window.patient = start('/talk/', {json.dumps(NEVER)})")
    page.until("patient.seen.opened.length")
    page.driver.minimize_window()
    try:
        page.until("document.visibilityState", lambda state: state == "hidden")
        page.server.publish("to a hidden page")
        page.until_messages("before", "to a hidden page")
        assert page.seen()["lost"] == []
        page.server.restart()
        page.until_open(2)
        page.until("patient.seen.lost.length", lambda lost: lost == 1)
        assert page.run("return [document.visibilityState, patient.readyState]") == ["hidden", 0]
    finally:
        page.driver.set_window_rect(0, 0, 1280, 1200)
    # Otherwise it would wait for days.
    page.until("patient.seen.opened.length", lambda opened: opened == 2)


def test_a_page_in_the_cache(chromium_page):
    """A page that is left and shown again from the back/forward cache connects again, and gets what it has missed."""
    page = chromium_page
    page.open()
    page.until_open()
    page.run("socket.send('before')")
    page.until_messages("before")
    page.open("/")
    page.server.publish("while it was in the cache")
    page.driver.back()
    page.until("document.title", lambda title: title == "recorder")
    page.until_messages("before", "while it was in the cache")
    seen = page.until_open(2)
    assert seen["restored"]


# Many


def test_many_pages_come_back(chromium_page):
    """Guards that they come back at different moments, and all of them."""
    page = chromium_page
    page.open()
    page.until_open()
    page.run(f"for (let number = 1; number < {CLIENTS}; number++) start()")
    page.until("sockets.filter(({ readyState }) => readyState === 1).length", lambda opened: opened == CLIENTS)
    page.server.restart()
    opened = page.until(
        "sockets.filter(({ readyState, seen }) => readyState === 1 && seen.opened.length > 1)"
        ".map(({ seen }) => seen.opened.at(-1)[0])",
        lambda opened: len(opened) == CLIENTS,
    )
    lost = page.run("return sockets.map(({ seen }) => seen.lost[0])")
    delays = [event["delay"] for event in lost]
    # A wait that all of them, or some, had in common would be seen here.
    assert max(delays) - min(delays) > 250
    assert len(set(delays)) > CLIENTS / 2
    moments = sorted(moment - min(event["at"] for event in lost) for moment in opened)
    print("back after, in ms, by deciles:", [round(moment) for moment in statistics.quantiles(moments, n=10)])
    print(
        "the last one:",
        round(moments[-1]),
        "attempts at most:",
        page.run("return Math.max(...sockets.map(({ seen }) => seen.lost.length))"),
    )


# The documentation


def test_the_page_of_the_documentation(page):
    """Guards the example with its policy, and the import map."""
    page.open("/bids/")
    page.until("document.getElementById('state').textContent", lambda text: text == "Connected")
    bid = "document.getElementById('bid').value = '{}'; document.getElementById('form').requestSubmit()"
    page.run(bid.format("one"))
    shown = "[...document.querySelectorAll('#bids li')].map((item) => item.textContent)"
    page.until(shown, lambda texts: texts == ["one"])
    page.run(
        "const state = document.getElementById('state');"
        " new MutationObserver(() => { window.away = true; }).observe(state, { childList: true })"
    )
    page.server.restart()
    page.until("window.away")
    page.run(bid.format("two"))
    page.until(shown, lambda texts: texts == ["one", "two"])


def test_the_import_map_of_the_documentation(page):
    page.open("/mapped/")
    # The script has no since, so that it gets what is sent while it is connected.
    eventually(
        lambda: page.server.bid("three") and page.run("return document.body.textContent"), lambda text: "three" in text
    )


@pytest.fixture
def turbo(site, tmp_path):
    """Let the site serve Turbo."""
    packages = install(tmp_path, "@hotwired/turbo@8").parent
    shutil.copy(packages / "@hotwired/turbo/dist/turbo.es2017-umd.js", site.directory / "turbo.js")


@pytest.mark.usefixtures("turbo")
def test_turbo(page):
    """Guards that Turbo takes the module for a source of streams, before and after a restart."""
    shown = "[...document.querySelectorAll('#orders li')].map((item) => item.textContent)"
    page.open("/turbo/")
    page.until(shown, lambda texts: texts == ["1", "2"])
    page.server.restart()
    page.until(shown, lambda texts: texts[2:4] == ["1", "2"])


@pytest.mark.usefixtures("turbo")
def test_turbo_visits(page):
    """Guards that a page that Turbo has left takes its source along: each would come back, and show all twice."""
    shown = "[...document.querySelectorAll('#orders li')].map((item) => item.textContent)"
    page.open("/turbo/")
    for number in range(3):
        page.until(shown, lambda texts: texts == ["1", "2"])
        page.run(f"document.title = 'left'; Turbo.visit('/turbo/?visit={number}')")
        page.until("document.title", lambda title: title == "orders")
    page.until(shown, lambda texts: texts == ["1", "2"])
    page.server.restart()
    page.until(shown, lambda texts: len(texts) >= 4)
    # Those of the pages before would have come back by now: they wait half a second at first.
    time.sleep(1.5)
    page.until(shown, lambda texts: texts == ["1", "2", "1", "2"])


def test_plain(page):
    """Guards the three lines for whom a WebSocket is enough."""
    page.open("/plain/")
    page.until("document.body.textContent", lambda text: "helloLoad the page again." in text)
