"""The files of the page on Docker agree with each other, with the deployment page, and with what reads them."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml

from django_websocket.conf.settings import Conf

from .live.containers import CLONE, COMPOSE, DEPLOY, DOCKERFILE, ROOT, command_of, instructions, working_directory
from .test_deploy import PROJECT, in_unit, production, settings_of_gunicorn

__all__ = ["production", "settings_of_gunicorn"]

SERVICES = COMPOSE["services"]
WEB = SERVICES["web"]


def seconds(duration):
    return int(duration.removesuffix("s"))


def places(service):
    """Return the volumes of a service, and where it sees them."""
    return dict(volume.split(":")[:2] for volume in SERVICES[service]["volumes"])


def caddyfile():
    return (DEPLOY / "Caddyfile").read_text(encoding="utf-8")


def test_the_times_include_each_other(settings_of_gunicorn):
    graceful = settings_of_gunicorn["graceful_timeout"]
    assert Conf.close_timeout.default < graceful < seconds(WEB["stop_grace_period"])
    assert WEB["stop_grace_period"] == f"{in_unit('TimeoutStopSec')}s"
    for service in SERVICES.values():
        if "healthcheck" in service:
            assert seconds(service["healthcheck"]["timeout"]) <= seconds(service["healthcheck"]["interval"])
    (timeout,) = re.findall(r"timeout=(\d+)", WEB["healthcheck"]["test"][-1])
    assert int(timeout) < seconds(WEB["healthcheck"]["timeout"])


def test_the_project_reads_the_environment(production):
    read = set()
    for name in ("settings", "production"):
        source = (PROJECT / "example_project" / f"{name}.py").read_text(encoding="utf-8")
        read.update(re.findall(r'os\.environ(?:\.get\(|\.setdefault\(|\[)"(\w+)"', source))
    environment = dict(WEB["environment"])
    assert environment.pop("DJANGO_SETTINGS_MODULE") == production.__name__
    assert set(environment) <= read
    assert {"SECRET_KEY", "REDIS_URL"} <= set(environment)
    # Caddy reads the one variable that its file names.
    assert set(SERVICES["caddy"]["environment"]) == set(re.findall(r"\{\$(\w+)\}", caddyfile())) == {"SITE"}


def test_what_compose_needs_is_named_where_it_is_started():
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    comment, _, rest = text.partition("\nx-example")
    for variable in re.findall(r"\$\{(\w+)", rest):
        assert variable in comment


def test_the_services_know_each_other():
    (bind,) = re.findall(r"--bind 0\.0\.0\.0:(\d+)", shlex.join(command_of("web")))
    assert re.findall(r"reverse_proxy (\S+)", caddyfile()) == [f"web:{bind}"]
    assert f"http://127.0.0.1:{bind}/" in WEB["healthcheck"]["test"][-1]
    assert "ports" not in WEB
    assert WEB["environment"]["REDIS_URL"] == "redis://redis:6379/0"
    assert "--port" not in command_of("redis")
    for service in SERVICES.values():
        for name, on in service.get("depends_on", {}).items():
            assert (on["condition"] == "service_healthy") == ("healthcheck" in SERVICES[name])
    # A service that waits for a process which restarts for ever would never start.
    assert "restart" not in SERVICES["prepare"]


def test_the_files_are_where_they_are_looked_for(production):
    assert production.STATIC_ROOT == places("web")["static"] == places("caddy")["static"]
    assert f"root * {production.STATIC_ROOT}\n" in caddyfile()
    assert f"handle_path /{production.STATIC_URL.strip('/')}/*" in caddyfile()
    assert production.DATABASES["default"]["NAME"].startswith(f"{places('web')['database']}/")
    # The user of the container may write there, and nowhere else.
    for directory in places("web").values():
        assert re.search(rf"install .*--owner=example .*{directory}\b", DOCKERFILE)
    assert instructions("USER") == ["example"]
    named = {name for service in SERVICES.values() for name in service.get("volumes", ())}
    assert {name.partition(":")[0] for name in named} - {"./Caddyfile"} == set(COMPOSE["volumes"])
    assert (DEPLOY / WEB["build"]["context"]).resolve() == ROOT
    assert (ROOT / WEB["build"]["dockerfile"]) == DEPLOY / "Dockerfile"
    assert (working_directory() / command_of("web")[2]) == DEPLOY / "gunicorn.conf.py"
    assert instructions("WORKDIR")[0] == CLONE


def test_gunicorn_gets_the_signals():
    """Guards that no shell is between Docker and gunicorn, and that the image has a Python that is supported."""
    (command,) = instructions("CMD")
    assert command.startswith('["gunicorn"')
    (image,) = instructions("FROM")
    assert f"Programming Language :: Python :: {image.removeprefix('python:')}" in (ROOT / "setup.py").read_text()


def test_redis_has_the_options_of_the_page_on_scaling():
    page = (ROOT / "docs" / "scaling.rst").read_text(encoding="utf-8")
    described = {
        words[0]: " ".join(words[1:])
        for cell in re.findall(r"^    \* - (``.+)$", page, re.MULTILINE)
        for text in re.findall("``(.+?)``", cell)
        for words in [shlex.split(text)]
    }
    program, *options = command_of("redis")
    assert program == "redis-server"
    assert {name: described[name.removeprefix("--")] for name in options[::2]} == dict(
        zip(options[::2], options[1::2], strict=True)
    )


def test_what_is_copied_is_enough_to_install(tmp_path):
    """Guards the sources that the Dockerfile copies, by building the package from them alone."""
    (install,) = [run for run in instructions("RUN") if "pip install" in run]
    assert shlex.split(install)[-2:] == [".[redis]", "gunicorn"]
    before = DOCKERFILE.partition(install)[0]
    for line in re.findall(r"^COPY (.+)$", before, re.MULTILINE):
        *sources, target = line.split()
        for source in map(ROOT.joinpath, sources):
            if source.is_dir():
                shutil.copytree(source, tmp_path / target, ignore=shutil.ignore_patterns("*.so", "*.c", "__pycache__"))
            else:
                shutil.copy(source, tmp_path / target)
    subprocess.run(
        [sys.executable, "-c", "from setuptools import build_meta; build_meta.build_wheel('dist')"],
        cwd=tmp_path,
        env={**os.environ, "DJANGO_WEBSOCKET_SPEEDUPS": "0"},
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert len(list((tmp_path / "dist").glob("*.whl"))) == 1


def test_the_health_check_is_python():
    kind, python, option, source = WEB["healthcheck"]["test"]
    assert (kind, python, option) == ("CMD", "python", "-c")
    ast.parse(source)


def test_yaml_takes_no_word_for_something_else():
    """Guards words such as ``no``, which YAML would read as a truth value."""
    for service in SERVICES:
        assert all(isinstance(word, str) for word in SERVICES[service].get("command", []))
        assert all(isinstance(value, str) for value in SERVICES[service].get("environment", {}).values())
    assert yaml.safe_load("[no]") == [False]


def test_the_context_has_what_is_copied():
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    copied = {source for line in instructions("COPY") for source in line.split()[:-1]}
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied
    # The last pattern that fits decides: the secret key, which stands beside compose.yaml, comes into no image.
    assert lines.index("**/.env") > max(number for number, line in enumerate(lines) if line.startswith("!"))


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "Caddyfile"])
def test_the_page_shows_the_file(name):
    page = (ROOT / "docs" / "docker.rst").read_text(encoding="utf-8")
    assert f".. literalinclude:: ../example_project/deploy/{name}\n" in page
