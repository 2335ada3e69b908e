"""The pages of the documentation for Alpine and React, in Chromium."""

import shutil
import subprocess

import pytest

from lab.servers import PATIENCE

from .npm import install
from .site import FILES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PACKAGES = {"alpine.js": "alpinejs/dist/cdn.js"}
VERSIONS = ["alpinejs@3", "react@19", "react-dom@19", "esbuild@0.25"]
BIDS = "[...document.querySelectorAll('li')].map((item) => item.textContent)"


@pytest.fixture(scope="module")
def npm(tmp_path_factory):
    """Return the directory of the packages."""
    return install(tmp_path_factory.mktemp("npm"), *VERSIONS).parent


@pytest.fixture(scope="module", autouse=True)
def _scripts(npm, site):
    """Let the site serve the packages, and what a bundler makes of the files for React."""
    for name, path in PACKAGES.items():
        shutil.copy(npm / path, site.directory / name)
    for name in ("use-websocket.js", "bids.jsx"):
        (npm.parent / name).write_text(FILES[name], encoding="utf-8")
    options = ["--bundle", "--format=esm", "--jsx=automatic", "--external:django-websocket"]
    subprocess.run(
        [npm / ".bin/esbuild", "bids.jsx", *options, f"--outfile={site.directory / 'bids-react.js'}"],
        cwd=npm.parent,
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )


@pytest.mark.parametrize("name", ["alpine", "react"])
def test_a_recipe(chromium_page, name):
    """Guards a message each way, and that the page comes back after a restart and has what it has missed."""
    page = chromium_page
    page.open(f"/{name}/")
    page.until("document.querySelector('form input')")
    page.driver.find_element("css selector", "input").send_keys("one")
    page.driver.find_element("css selector", "button").click()
    page.until(BIDS, lambda bids: bids == ["one"])
    page.server.restart()
    page.driver.find_element("css selector", "input").send_keys("two")
    page.driver.find_element("css selector", "button").click()
    page.until(BIDS, lambda bids: bids == ["one", "two"])
    page.server.bid("three")
    page.until(BIDS, lambda bids: bids == ["one", "two", "three"])
