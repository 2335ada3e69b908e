"""The files of the deployment page agree with each other, with the defaults, and with what reads them."""

import importlib
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gunicorn.config import KNOWN_SETTINGS

from django_websocket import gunicorn
from django_websocket.conf.settings import Conf
from django_websocket.gunicorn.workers import warnings_for

PROJECT = Path(__file__).parent.parent / "example_project"
DEPLOY = PROJECT / "deploy"


def read(name):
    return (DEPLOY / name).read_text(encoding="utf-8")


@pytest.fixture
def settings_of_gunicorn():
    return runpy.run_path(str(DEPLOY / "gunicorn.conf.py"))


@pytest.fixture
def production(monkeypatch):
    monkeypatch.syspath_prepend(str(PROJECT))
    monkeypatch.setenv("SECRET_KEY", "k" * 50)
    # Which the module sets, but only where they are not: so they are put back.
    for name in ("DEBUG", "DATABASE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name in ("example_project.settings", "example_project.production"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("example_project.production")
    for name in ("example_project.settings", "example_project.production"):
        sys.modules.pop(name, None)


def in_unit(name):
    (value,) = re.findall(rf"^{name}=(.*)$", read("example.service"), re.MULTILINE)
    return value


def in_site(name):
    (value,) = re.findall(rf"^ +{name} (.*);$", read("nginx.conf"), re.MULTILINE)
    return value


def test_gunicorn_knows_its_settings(settings_of_gunicorn):
    names = {name for name in settings_of_gunicorn if not name.startswith("_")}
    known = {setting.name for setting in KNOWN_SETTINGS}
    assert names <= known
    assert settings_of_gunicorn["post_worker_init"] is gunicorn.post_worker_init


def test_gunicorn_says_nothing_against_its_settings(settings_of_gunicorn, production):
    class Settings:
        threads = settings_of_gunicorn["threads"]

    assert warnings_for("ThreadWorker", Settings, production.WEBSOCKET_MAX_CONNECTIONS) == []
    assert warnings_for("ThreadWorker", Settings, None)


def test_the_times_include_each_other(settings_of_gunicorn):
    graceful = settings_of_gunicorn["graceful_timeout"]
    assert Conf.close_timeout.default < graceful < int(in_unit("TimeoutStopSec"))
    assert Conf.ping_interval.default < int(in_site("proxy_read_timeout").removesuffix("s"))


def test_the_files_speak_of_the_same_places(settings_of_gunicorn, production):
    assert in_site("proxy_pass") == f"http://{settings_of_gunicorn['bind']}"
    assert in_site("alias").rstrip("/") == production.STATIC_ROOT
    assert in_unit("Environment") == f"DJANGO_SETTINGS_MODULE={production.__name__}"
    assert in_unit("WorkingDirectory") == "/srv/example/example_project"
    programs = r"^(?:# )?ExecStart(?:Pre)?=.* (deploy/\S+|manage\.py)\b"
    for path in re.findall(programs, read("example.service"), re.MULTILINE):
        assert (PROJECT / path).is_file()
    assert production.DATABASES["default"]["NAME"].startswith(f"/var/lib/{in_unit('StateDirectory')}/")


def test_production_trusts_what_the_proxy_always_says(production):
    assert production.DEBUG is False
    assert production.SECURE_PROXY_SSL_HEADER == ("HTTP_X_FORWARDED_PROTO", "https")
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in read("nginx.conf")


def test_systemd_takes_the_unit(tmp_path):
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        pytest.skip("systemd-analyze is missing; on Debian: apt-get install systemd")
    unit = re.sub(r"/srv/example/\.venv/bin/(gunicorn|python)", sys.executable, read("example.service"))
    (tmp_path / "example.service").write_text(unit.replace("/srv/example", str(PROJECT.parent)))
    run = subprocess.run(
        [systemd, "verify", str(tmp_path / "example.service")], capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
