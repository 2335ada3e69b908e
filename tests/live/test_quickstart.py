"""The quickstart works as it is printed, for someone who has only a browser, or a client in Python."""

import re

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from .quickstart import Quickstart, commands

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]


@pytest.fixture
def quickstart(tmp_path):
    server = Quickstart(tmp_path)
    server.begin()
    yield server
    server.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_its_page_and_its_view(quickstart, host):
    """Guards the page under both names that a reader may type: its WebSocket goes where the page came from."""
    status, page = quickstart.get("/lower_case/")
    assert status == 200
    (rule,) = re.findall(r"new WebSocket\(`\$\{scheme\}//\$\{location\.host\}(.*)`\)", page.decode())
    address = f"{host}:{quickstart.port}"
    with connect(f"ws://{address}{rule}", origin=f"http://{address}", proxy=None) as client:
        client.send("Hello WORLD")
        assert client.recv(timeout=10) == "hello world"
    assert client.close_code == 1000
    quickstart.check_log()


def test_the_other_name_is_another_host(quickstart):
    """Guards the sentence of the page: localhost is not 127.0.0.1."""
    url = f"ws://localhost:{quickstart.port}/lower_case/"
    with pytest.raises(InvalidStatus) as caught, connect(url, origin=quickstart.origin, proxy=None):
        pytest.fail("it was let in")
    assert caught.value.response.status_code == 403


def test_what_is_typed_begins_with_the_installation():
    """Guards against a command that a reader types before it can work."""
    assert commands()[0] == "python -m pip install ."
