"""The command of the page on platforms starts, with the settings that are printed beside it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from string import Template

import pytest
from gunicorn.config import Config
from websockets.sync.client import connect

from django_websocket.conf.settings import Conf
from django_websocket.gunicorn.workers import warnings_for
from lab.kinds import Kind
from lab.redis_servers import RedisServer, find_redis
from lab.servers import HOST

from ..test_docs import ROOT, code_blocks, run
from . import needs
from .typed import blocks

pytestmark = [pytest.mark.live, pytest.mark.timeout(90)]

PAGE = "docs/platforms.rst"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def command():
    (block,) = [block for block in blocks("platforms") if block.caption == "Procfile"]
    process, _, line = block.text.strip().partition(": ")
    assert process == "web"
    return line


def settings_of_the_page():
    (block,) = code_blocks(PAGE, TEXT)
    return {name: value for name, value in run(block).items() if name.isupper()}


@pytest.fixture
def redis(tmp_path):
    if find_redis() is None:
        needs.missing("redis-server", "redis-server")
    needs.module("redis", "redis")
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


def test_the_command_starts(launch, redis, monkeypatch):
    """Guards the printed line, with the tests' own project in the place of the reader's."""
    monkeypatch.setenv("REDIS_URL", redis.url)
    settings = settings_of_the_page()
    assert settings["WEBSOCKET_GROUPS"]["default"]["LOCATION"] == redis.url
    line = Template(command()).substitute(PORT="{port}").replace("mysite.wsgi", "lab.project.wsgi:application")
    program, *arguments = shlex.split(line)
    assert program == "gunicorn"
    kind = Kind("platform", ("-m", program, "--no-control-socket", *arguments), settings=settings)
    server = launch(kind, warm=False)
    assert len(server.children()) == 2
    # As the router says it.
    headers = {"X-Forwarded-Proto": "https"}
    with connect(
        server.url("/echo/"), proxy=None, origin=f"https://{HOST}:{server.port}", additional_headers=headers
    ) as client:
        client.send("hello")
        assert client.recv(timeout=10) == "hello"
    assert "WebSockets take all" not in server.text


def test_the_numbers_fit():
    config = Config()
    arguments = config.parser().parse_args(shlex.split(command())[1:])
    assert Conf.close_timeout.default < arguments.graceful_timeout < 30
    maximum = settings_of_the_page()["WEBSOCKET_MAX_CONNECTIONS"]
    assert warnings_for("ThreadWorker", arguments, maximum) == []
    assert arguments.bind == ["0.0.0.0:$PORT"]


def test_where_gunicorn_listens_by_itself(monkeypatch):
    """Guards that gunicorn reads the variable; it does so when it is imported."""
    source = "from gunicorn.config import Config; print(Config().bind)"
    monkeypatch.setenv("PORT", "5000")
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "['0.0.0.0:5000']"


def test_the_limits_of_the_platforms_are_longer_than_the_time_between_pings():
    """Guards the sentence that the default suits all of them."""
    known = TEXT.partition("\nWhat is known of some\n")[2]
    limits = [int(number) for number in re.findall(r"(\d+) seconds\b", known)]
    assert {55, 60} <= set(limits)
    assert Conf.ping_interval.default < 55
