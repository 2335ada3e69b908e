"""The documentation can be read on a phone: nothing is wider than the screen but code, which scrolls."""

import subprocess
import sys

import pytest
from selenium.webdriver.support.wait import WebDriverWait

from ..live.needs import module
from ..test_docs import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.xdist_group("docs")]

#: What sticks out of the screen, and is not within code.
TOO_WIDE = """
    const width = document.documentElement.clientWidth;
    const wide = [...document.querySelectorAll("article *")].filter(
        (element) => !element.closest("pre") && element.getBoundingClientRect().right > width + 1
    );
    return [document.documentElement.scrollWidth - width, wide.map((element) => element.outerHTML.slice(0, 200))];
"""
#: The texts of the first row of a table's body, with what stands before them.
FIRST_ROW = """
    return [...document.querySelector("article tbody tr").cells].map(
        (cell) => [getComputedStyle(cell, "::before").content, cell.textContent.trim()]
    );
"""


@pytest.fixture(scope="module")
def documentation(tmp_path_factory):
    """Return the folder of the built documentation."""
    for name in ("sphinx", "furo"):
        module(name, name)
    folder = tmp_path_factory.mktemp("docs")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "-b",
        "html",
        "-d",
        folder / "trees",
        "docs",
        folder / "html",
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return folder / "html"


@pytest.fixture
def phone(driver):
    """Return the driver, whose window is that of a small phone."""
    screen = {"width": 320, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    yield driver
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.get("about:blank")


def test_no_page_is_wider_than_a_phone(phone, documentation):
    pages = sorted(documentation.glob("*.html"))
    assert documentation / "servers.html" in pages
    for page in pages:
        phone.get(page.as_uri())
        assert phone.execute_script(TOO_WIDE) == [0, []], page.name


@pytest.mark.parametrize("number", ["1006", "4401", "403", "503"])
def test_the_search_finds_what_a_browser_shows_of_a_failure(driver, documentation, number):
    """The words that it looks for have no digits alone, so that these are entries of the index."""
    driver.get(f"{(documentation / 'search.html').as_uri()}?q={number}")
    found = WebDriverWait(driver, 20).until(
        lambda driver: driver.find_elements("css selector", "#search-results .search li a")
    )
    assert {link.get_attribute("href").partition("#")[0].rpartition("/")[2] for link in found} & {
        "protocols.html",
        "troubleshooting.html",
        "messages.html",
    }


def test_the_rows_of_a_table_are_lists(phone, documentation):
    phone.get((documentation / "settings.html").as_uri())
    assert phone.execute_script(FIRST_ROW) == [
        ["none", "WEBSOCKET_ACCEPT_ALL"],
        ['"Default: "', "False"],
        ['"Meaning: "', "With the middleware: every view takes WebSockets, decorated or not."],
    ]
    assert not phone.find_element("css selector", "article thead").is_displayed()


def test_on_a_desktop_it_is_a_table(driver, documentation):
    driver.get((documentation / "settings.html").as_uri())
    assert driver.find_element("css selector", "article thead").is_displayed()
    assert {before for before, _ in driver.execute_script(FIRST_ROW)} == {"none"}
