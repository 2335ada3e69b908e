"""A Chromium, and how the pages of the example are read and used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, TimeoutException
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from lab.project.server import Server

#: Seconds that a page may take for anything. Nothing waits that long when all is well.
PATIENCE = 30.0

FLAGS = [
    "--headless=new",
    "--no-sandbox",  # which root may not use
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    # What is not on this machine cannot be reached, whoever asks for it.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--window-size=1280,1200",
]

T = TypeVar("T")


def start(chromium: str, chromedriver: str, profile: Path) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    driver.set_page_load_timeout(PATIENCE)
    driver.set_script_timeout(PATIENCE)
    return driver


class Browser:
    """The present tab, by the ids that the templates of the example list."""

    def __init__(self, driver: webdriver.Chrome, server: Server) -> None:
        self.driver = driver
        self.server = server
        self.expected: list[str] = []
        self.tolerated: list[str] = []

    def open(self, path: str) -> None:
        self.driver.get(f"{self.server.origin}{path}")

    def new_tab(self) -> str:
        """Go to a new tab; gives its handle."""
        self.driver.switch_to.new_window("tab")
        return self.driver.current_window_handle

    # Looking

    def __call__(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return self(selector).get_property("textContent").strip()

    def state(self) -> str | None:
        return self("#status").get_dom_attribute("data-state")

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def log(self) -> list[tuple[str, str, str]]:
        """Return the rows of the echo page's log: direction, type and text."""
        return [
            tuple(row)
            for row in self.run(
                "return Array.from(document.querySelectorAll('#log > li'), (row) =>"
                " [row.dataset.direction, row.dataset.type, row.querySelector('.body').textContent])"
            )
        ]

    def messages(self) -> list[tuple[str, str, str]]:
        """Return those rows that are messages."""
        return [row for row in self.log() if row[0] in {"sent", "received"}]

    @contextmanager
    def screen(self, width: int, height: int, scheme: str = "light") -> Iterator[None]:
        """Show the page in a window of this size, on a phone if it is narrow, and in a colour scheme; nothing moves."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        media = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in media.items()]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    # Waiting

    def until(self, give: Callable[[], T], good: Callable[[T], Any] = bool) -> T:
        """Ask the page until the answer is good, and give it; fail, with the answer, when it does not become so."""
        answers: list[T] = []

        def look(_driver: webdriver.Chrome) -> bool:
            answers[:] = [give()]
            return bool(good(answers[0]))

        ignored = (NoSuchElementException, StaleElementReferenceException)
        wait = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.05, ignored_exceptions=ignored)
        try:
            wait.until(look)
        except TimeoutException:
            raise AssertionError(f"still {answers} after {PATIENCE} s") from None
        return answers[0]

    def until_text(self, selector: str, text: str) -> None:
        self.until(lambda: self.text(selector), lambda present: present == text)

    def until_state(self, state: str) -> None:
        self.until(self.state, lambda present: present == state)

    # Doing

    def fill(self, selector: str, text: str) -> None:
        element = self(selector)
        element.clear()
        element.send_keys(text)

    def click(self, selector: str) -> None:
        """Click a button, once it can be clicked."""
        self.until(lambda: self(selector), lambda button: button.is_displayed() and button.is_enabled())
        self(selector).click()

    def unfold(self) -> None:
        """Unfold what is folded away."""
        self.run("for (const fold of document.querySelectorAll('details')) fold.open = true")

    def connect(self, path: str, subprotocols: str = "") -> None:
        """Connect the echo page to another view, in place of the one that it is connected to."""
        self.unfold()
        self.fill("#url", path)
        self.fill("#subprotocol", subprotocols)
        self.click("#connection button:not([type])")

    def say(self, text: str) -> None:
        """Send a text, on the echo page or in the chat."""
        self.fill("#message", text)
        self.click("#send")

    # The console

    def expect(self, *texts: str) -> None:
        """Say what is going to stand in the console."""
        self.expected += texts

    def tolerate(self, *texts: str) -> None:
        """Say what may stand in the console, any number of times."""
        self.tolerated += texts

    def console(self) -> list[dict[str, Any]]:
        """Return what stands in the console of the present tab since somebody looked."""
        return self.driver.get_log("browser")


def check_console(entries: list[dict[str, Any]], browsers: list[Browser]) -> None:
    """See that the console has what the browsers were to expect, and no complaint that they were not to tolerate."""
    complaints = [entry for entry in entries if entry["level"] in {"WARNING", "SEVERE"}]
    for text in (text for browser in browsers for text in browser.expected):
        found = next((entry for entry in complaints if text in entry["message"]), None)
        assert found is not None, f"{text!r} is not in the console: {complaints}"
        complaints.remove(found)
    tolerated = [text for browser in browsers for text in browser.tolerated]
    complaints = [entry for entry in complaints if not any(text in entry["message"] for text in tolerated)]
    assert not complaints, complaints
