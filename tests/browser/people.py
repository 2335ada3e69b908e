"""People in the chat of the example: each in a window, with cookies and a cable of their own."""

from __future__ import annotations

import http.cookiejar
import re
import urllib.parse
import urllib.request

from selenium import webdriver

from lab.servers import HOST, PATIENCE

from .cable import Cable
from .chromium import Browser
from .servers import Example

#: Names of this machine. A browser keeps the cookies of each apart, but not those of its ports.
HOSTS = (HOST, "localhost")
FIND_ROOM = "const row = [...document.querySelectorAll('#rooms li')].find((r) => r.textContent.includes('{}'))"


class Person(Browser):
    """Somebody in the chat, in the window that is open now. Every look and every click goes to that window."""

    def __init__(self, driver: webdriver.Chrome, server: Example, host: str, cable: Cable) -> None:
        self._window = driver.current_window_handle
        self.cable = cable
        self._origin = f"http://{host}:{cable.port}"
        super().__init__(driver, server)

    @property
    def driver(self) -> webdriver.Chrome:
        """The browser, with this person's window in front."""
        self._driver.switch_to.window(self._window)
        return self._driver

    @driver.setter
    def driver(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def open(self, path: str) -> None:
        self.driver.get(f"{self._origin}{path}")

    def log_in(self, name: str) -> None:
        self.open("/chat/")
        self.fill("#name", name)
        self.click("#enter")
        self.until_text("#me", name)
        self.until_state("open")

    # In a room

    def enter(self, room: str) -> None:
        """Enter a room by the list of rooms."""
        self._open_list()
        self.run(f"{FIND_ROOM.format(room)}; row.querySelector('a').click()")
        self._until_inside(room)

    def open_room(self, room: str) -> None:
        """Open a room, and so enter it."""
        self._open_list()
        self.fill("#new-room", room)
        self.click("#open-room")
        self._until_inside(room)

    def _open_list(self) -> None:
        self.open("/chat/")
        # A page that is left while it connects complains in the console.
        self.until_state("open")

    def _until_inside(self, room: str) -> None:
        self.until_text("h1", room)
        self.until_online()

    def until_online(self) -> None:
        """Wait until all that was missed has come."""
        self.until(lambda: self("#send").is_enabled())

    def talk(self) -> list[tuple[str, str]]:
        """Return what was said, with the name of who said it; that which is on its way is left out."""
        return [
            tuple(row)
            for row in self.run(
                "return Array.from(document.querySelectorAll('#log [data-event=said]:not([data-pending])'), (row) =>"
                " [row.querySelector('.name').textContent, row.querySelector('.body').textContent])"
            )
        ]

    def here(self) -> list[str]:
        """Return the names of those who are here."""
        return self.run(
            "return [...document.querySelectorAll('#here li > :last-child')].map((name) => name.textContent)"
        )

    def title(self) -> str:
        return self.driver.title.removesuffix(" · django-websocket")

    def until_talk(self, *rows: tuple[str, str]) -> None:
        self.until(self.talk, lambda present: present == list(rows))

    def until_here(self, *names: str) -> None:
        self.until(self.here, lambda present: present == list(names))

    # In the list of rooms

    def room(self, name: str, part: str) -> str:
        """Return the text of a part of a room in the list; ``""`` if it is hidden, or not there."""
        return self.run(
            f"{FIND_ROOM.format(name)}; const part = row?.querySelector('{part}');"
            " return part?.checkVisibility({ visibilityProperty: true }) ? part.textContent.trim() : ''"
        )

    def until_room(self, name: str, part: str, text: str) -> None:
        self.until(lambda: self.room(name, part), lambda present: present == text)

    def announcement(self) -> str:
        """Return the announcement that is shown, with the name of who made it; ``""``: none is."""
        shown = self("#announced").is_displayed()
        return ": ".join(self.text(f"#announced {part}") for part in (".author", ".text")) if shown else ""


def log_in(server: Example, name: str) -> str:
    """Log in without a browser; return the Cookie header."""
    cookies = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(cookies))
    url = f"{server.origin}/chat/login/"
    with opener.open(url, timeout=PATIENCE) as page:
        (token,) = re.findall('name="csrfmiddlewaretoken" value="(.*?)"', page.read().decode())
    form = urllib.parse.urlencode({"csrfmiddlewaretoken": token, "name": name}).encode()
    opener.open(urllib.request.Request(url, form, {"Origin": server.origin}), timeout=PATIENCE).close()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)
