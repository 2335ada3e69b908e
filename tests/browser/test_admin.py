"""Live connections in the admin of the example: what is open is listed, and closed, whichever process has it."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from lab.servers import PATIENCE

from .chromium import Browser
from .people import log_in
from .servers import RUNSERVER, Example

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LIST = "/admin/django_websocket/liveconnection/"
#: A desk and a phone.
SIZES = [(1280, 800), (390, 844)]


class Manager(Browser):
    """Somebody who is logged in to the admin, in a window and at a host of their own."""

    def __init__(self, driver, server: Example) -> None:
        self._window = driver.current_window_handle
        super().__init__(driver, server)

    @property
    def driver(self):
        self._driver.switch_to.window(self._window)
        return self._driver

    @driver.setter
    def driver(self, driver) -> None:
        self._driver = driver

    def open(self, path: str) -> None:
        self.driver.get(f"http://localhost:{self.server.port}{path}")

    def log_in(self) -> None:
        self.server.manage(
            "shell",
            "-c",
            "from django.contrib.auth.models import User\n"
            "User.objects.filter(is_superuser=True) or User.objects.create_superuser('root', password='hush')",
        )
        # Browsers ask for it where a page names none.
        self.tolerate("favicon.ico")
        self.open(LIST)
        self.fill("#id_username", "root")
        self.fill("#id_password", "hush")
        self.click("[type=submit]")
        self.until(self.heading, lambda heading: heading == "Live connections")

    def heading(self) -> str:
        return self.text("h1")

    def column(self, label: str) -> list[str]:
        """Return a column of the list, as far as the first line of each cell."""
        return self.run(
            f"return Array.from(document.querySelectorAll(`#result_list [data-label='{label}']`),"
            " (cell) => cell.innerText.split('\\n')[0])"
        )

    def until_listed(self, label: str, expected: list[str]) -> None:
        """Reload the list until a sorted column is so: on a busy machine a process answers too late for one page."""

        def column() -> list[str]:
            listed = sorted(self.column(label))
            if listed != expected:
                self.driver.refresh()
            return listed

        self.until(column, lambda listed: listed == expected)

    def close(self, path: str, link: str = "Close") -> None:
        """Close the WebSocket of a path by its link, or all of its user; answer the question."""
        self.run(
            f"const row = [...document.querySelectorAll('#result_list tbody tr')].find((row) =>"
            f" row.innerText.includes('{path}'));"
            f"[...row.querySelectorAll('.deletelink')].find((one) => one.innerText === '{link}').click()"
        )
        self.until(self.heading, lambda heading: heading.startswith("Close "))
        self.click("#content [type=submit]")
        self.until(self.heading, lambda heading: heading == "Live connections")

    def messages(self) -> str:
        return self.text(".messagelist")

    def overflow(self, width: int, height: int) -> list[int]:
        """Return how much wider than a window of this size the page is, and the list than what is there for it."""
        with self.screen(width, height):
            self.driver.refresh()
            return self.run(
                "return [document.documentElement, ...document.querySelectorAll('.results')].map((one) =>"
                " one.scrollWidth - one.clientWidth)"
            )


@pytest.fixture
def page(chat, chromium):
    """Return a page that has an open WebSocket."""
    page = chromium(chat)
    page.open("/echo/")
    page.until_state("open")
    return page


@pytest.fixture
def manager(page, chat, chromium, driver):
    """Return a manager, who sees the list."""
    handle = driver.current_window_handle
    driver.switch_to.new_window("window")
    manager = chromium(chat, Manager)
    manager.page_window = handle
    manager.log_in()
    return manager


@pytest.fixture
def others(chat):
    """Return a function that opens further WebSockets, of somebody in the chat or of nobody."""
    with ExitStack() as stack:

        def open_some(number: int, path: str, name: str = "") -> list:
            headers = {"Origin": chat.origin, **({"Cookie": log_in(chat, name)} if name else {})}
            url = chat.url(path)
            sockets = [stack.enter_context(connect(url, additional_headers=headers, proxy=None)) for _ in range(number)]
            # The client has the answer to its handshake before the server has the WebSocket on its list.
            for socket in sockets:
                assert socket.ping().wait(PATIENCE)
            return sockets

        yield open_some


def test_one_is_closed(page, manager, others):
    """Guards the way from the list to a page whose WebSocket is closed, and that the other ones stay."""
    others(7, "/ws/about/")
    manager.until_listed("Address", [*["/ws/about/"] * 7, "/ws/echo/"])
    manager.close("/ws/echo/")
    assert manager.messages() == "Closed: the live connection /ws/echo/"
    assert "/ws/echo/" not in manager.column("Address")
    manager.until_listed("Address", ["/ws/about/"] * 7)
    page.driver.switch_to.window(manager.page_window)
    page.until_state("closed")
    assert page.text("#close-code") == "1008"
    assert "closed by an administrator" in page.text("#close-reason")


def test_all_of_a_user_are_closed(page, manager, others):
    sockets = others(6, "/ws/chat/", "Ann")
    manager.open(f"{LIST}?user=ann")
    manager.until_listed("User", ["Ann"] * 6)
    manager.close("/ws/chat/", "All of user")
    assert manager.messages() == "Closed: all live connections of Ann"
    for socket in sockets:
        with suppress(ConnectionClosedError):
            list(socket)
        assert socket.close_code == 4401
    # The filter is kept; without it, the page is still there.
    assert manager.column("Address") == []
    manager.open(LIST)
    manager.until_listed("Address", ["/ws/echo/"])


@pytest.mark.parametrize("chat", [RUNSERVER], indirect=True, ids=str)
@pytest.mark.parametrize("number", [0, 3, 60])
def test_nothing_is_wider_than_the_window(page, manager, others, number):
    others(number, "/ws/chat/", "W" * 30)
    assert [manager.overflow(*size) for size in SIZES] == [[0, 0]] * 2
    # Without a single one, and on the page that asks.
    manager.open(f"{LIST}?q=nowhere")
    assert [manager.overflow(*size) for size in SIZES] == [[0]] * 2
    manager.open(LIST)
    manager.run("document.querySelector('.deletelink').click()")
    manager.until(manager.heading, lambda heading: heading.startswith("Close "))
    assert [manager.overflow(*size) for size in SIZES] == [[0]] * 2
