"""The pages of the documentation for Alpine and React, and what each client does after each close code, in Chromium."""

import re
import shutil
import subprocess

import pytest

from lab.servers import HOST, PATIENCE, ROOT

from . import clients
from .npm import install
from .site import FILES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.xdist_group("recipes")]

PACKAGES = {
    "alpine.js": "alpinejs/dist/cdn.js",
    "turbo.js": "@hotwired/turbo/dist/turbo.es2017-umd.js",
    "htmx2.js": "htmx.org/dist/htmx.js",
    "htmx2-ws.js": "htmx-ext-ws/ws.js",
    "htmx4.js": "htmx4/dist/htmx.js",
    "htmx4-ws.js": "htmx4/dist/ext/hx-ws.js",
}
VERSIONS = [
    *("alpinejs@3", "@hotwired/turbo@8", "htmx.org@2", "htmx-ext-ws@2", "htmx4@npm:htmx.org@4"),
    *("react@19", "react-dom@19", "esbuild@0.25"),
]
CODES = [1000, 1001, 1006, 1011, 1012, 4401]
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


# The recipes


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


# The close codes


def documented(code):
    """Return the column of a code in the table of the documentation: what each client does, by its name."""
    text = (ROOT / "docs/browser.rst").read_text(encoding="utf-8")
    (table,) = re.findall(r"    \* - Client\n((?:    .*\n)+)", text)
    rows = [re.findall(r"- (.*)", row) for row in f"- Client\n{table}".split("    * ")]
    column = rows[0].index(str(code))
    return {row[0]: row[column] for row in rows[1:]}


@pytest.mark.parametrize("code", CODES)
def test_a_close_code(chromium_page, cables, code):
    """Guards the table: all clients lose their connections with this code at the same time."""
    page = chromium_page
    cable = cables(page.server)
    page.driver.get(f"http://{HOST}:{cable.port}/clients/")
    frames = "Array.from(frames).map((frame) => frame.{}())"
    page.until(f"frames.length === {len(clients.NAMES)} && Array.from(frames).every((frame) => frame.isReady?.())")
    if code == 1006:
        cable.cut()
        cable.mend()
    else:
        assert page.server.get(f"/end/{code}/")[0] == 200
    outcomes = page.until(frames.format("outcome"), lambda outcomes: "not known yet" not in outcomes)
    assert page.run(f"return {frames.format('code')}") == [code] * len(clients.NAMES)
    assert dict(zip(clients.NAMES, outcomes, strict=True)) == documented(code)


@pytest.mark.parametrize("client", ["htmx 2, ``ws``", "htmx 4, ``hx-ws``"])
def test_to_the_login(chromium_page, client):
    """Guards the events of both htmx, which tell the code in different places."""
    page = chromium_page
    page.open(f"/clients/{clients.NAMES.index(client)}/")
    page.until("isReady()")
    page.run(FILES["log-in.js"])
    assert page.server.get("/end/4401/")[0] == 200
    page.until("location.pathname", lambda path: path == "/login/")
