"""The page on Docker is true: the commands of its files start, and work together with a real Redis and a real Caddy."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from django_websocket.conf.settings import Conf
from lab.kinds import Kind
from lab.redis_servers import RedisServer, find_redis
from lab.servers import HOST, insecure

from . import needs
from .containers import COMPOSE, DEPLOY, command_of, environment_of, here, working_directory
from .deployments import find_proxy
from .documented_proxies import CONTAINER, DocumentedProxy

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

VARIABLES = {"SITE": HOST, "SECRET_KEY": "k" * 50}
#: What the project reads in the place of the volumes: the names of variables, and of a file in a directory of the test.
VOLUMES = {"DATABASE": "db.sqlite3", "STATIC_ROOT": ""}


@pytest.fixture
def _programs():
    find_proxy("caddy")
    needs.program("openssl", "openssl")
    needs.module("redis", "redis")
    if find_redis() is None:
        needs.missing("redis-server", "redis-server")


@pytest.fixture
def redis(tmp_path):
    _, *options = command_of("redis")
    server = RedisServer(tmp_path / "redis", *options)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def environment(redis, tmp_path):
    """Return the environment of the project, with the addresses and the places of this machine."""
    compose = environment_of("web", VARIABLES)
    assert compose["REDIS_URL"] == "redis://redis:6379/0"
    places = {name: str(tmp_path / name / file) for name, file in VOLUMES.items()}
    for name in VOLUMES:
        (tmp_path / name).mkdir()
    return {**compose, **places, "REDIS_URL": redis.url}


def run(command, environment):
    done = subprocess.run(
        here(command),
        cwd=working_directory(),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("_programs")
def test_containers(launch, redis, environment, tmp_path):
    """Guards the whole: preparation, server, health check, static files, publishing by Redis, and the end."""
    run(command_of("prepare"), environment)
    _, *arguments = here(command_of("web"))
    arguments[arguments.index("0.0.0.0:8000")] = f"{HOST}:{{port}}"
    arguments[arguments.index("-c") + 1] = str(DEPLOY / "gunicorn.conf.py")
    kind = Kind("web", (*arguments, "--chdir", str(working_directory())))
    server = launch(kind, warm=False, ready="/echo/", environment=environment)
    assert len(server.children()) == 2

    publish = "from django_websocket import Group; Group('news', history=1).send('hello')"
    run(["python", "manage.py", "shell", "-c", publish], environment)
    assert redis.command("DBSIZE") > 0

    _, *check = COMPOSE["services"]["web"]["healthcheck"]["test"]
    check[-1] = check[-1].replace(":8000", f":{server.port}")
    run(check, environment)

    caddy = DocumentedProxy(
        CONTAINER, tmp_path / "caddy", f"{HOST}:{server.port}", {"/srv/example/static": environment["STATIC_ROOT"]}
    )
    try:
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=insecure()))
        page = opener.open(f"{caddy.origin}/echo/", timeout=10).read().decode()
        script, *_ = re.findall(r'"(/static/[^"]*\.js)"', page)
        assert opener.open(f"{caddy.origin}{script}", timeout=10).headers["Server"] == "Caddy"
        end_of_a_conversation(server, caddy)
        with pytest.raises(HTTPError, match="502"):
            opener.open(f"{caddy.origin}/", timeout=10)
    finally:
        caddy.stop()


def end_of_a_conversation(server, caddy):
    """See that SIGTERM closes a WebSocket, and that the process ends before Docker would kill it."""
    with connect(caddy.url("/ws/echo/"), proxy=None, origin=caddy.origin, ssl=insecure()) as client:
        client.send("Hello")
        assert client.recv(timeout=10) == "Hello"
        os.kill(server.process.pid, signal.SIGTERM)
        with pytest.raises(ConnectionClosedError):
            client.recv(timeout=Conf.close_timeout.default)
    assert client.close_code == 1012
    grace = COMPOSE["services"]["web"]["stop_grace_period"]
    assert server.process.wait(int(grace.removesuffix("s"))) == 0
