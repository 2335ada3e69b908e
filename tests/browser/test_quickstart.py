"""The quickstart's page in a browser."""

import pytest

from ..live.quickstart import Quickstart

pytestmark = pytest.mark.browser


@pytest.fixture
def quickstart(tmp_path):
    server = Quickstart(tmp_path)
    yield server
    server.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_page_shows_the_answer(chromium, quickstart, host):
    browser = chromium(quickstart)
    # The browser asks for an icon, which a fresh project does not have.
    browser.expect("/favicon.ico")
    browser.driver.get(f"http://{host}:{quickstart.port}/lower_case/")
    browser.until_text("#answer", "hello world")
