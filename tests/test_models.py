"""The model of the admin's page stays out of the way of databases, migrations and fixtures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import connection

from django_websocket.models import LiveConnection

ROOT = Path(__file__).parent.parent
#: Runs commands of a project that has these applications and settings.
CODE = """
import json, sys
from django.conf import settings
from django.core.management import call_command
import django

applications, databases, commands = map(json.loads, sys.argv[1:])
settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=["django_websocket", *applications],
    DATABASES=databases,
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]}}],
    MIDDLEWARE=[
        "django_websocket.middleware.WebSocketMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
)
django.setup()
for name, *arguments in commands:
    print("#", name)
    call_command(name, *arguments)
"""
ADMIN = [f"django.contrib.{name}" for name in ("admin", "auth", "contenttypes", "sessions", "messages")]
NEVER = {"default": {"ENGINE": "django.db.backends.dummy"}}


def run(applications, databases, *commands):
    """Return what commands of a new project write."""
    arguments = map(json.dumps, (applications, databases, commands))
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE, *arguments],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout + process.stderr


@pytest.fixture
def databases(tmp_path):
    return {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}}


def test_its_permissions_and_names():
    meta = LiveConnection._meta
    assert (str(meta.verbose_name), str(meta.verbose_name_plural)) == ("live connection", "live connections")
    assert meta.default_permissions == ("view", "delete")
    assert str(LiveConnection("a/1")) == "a/1"


@pytest.mark.django_db
def test_it_has_permissions_and_no_table():
    found = Permission.objects.filter(content_type__app_label="django_websocket").values_list("codename", flat=True)
    assert sorted(found) == ["delete_liveconnection", "view_liveconnection"]
    assert LiveConnection._meta.db_table not in connection.introspection.table_names()


@pytest.mark.django_db
def test_it_has_no_rows_and_asks_no_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        for manager in (LiveConnection.objects, LiveConnection._base_manager, LiveConnection._default_manager):
            assert list(manager.all()) == list(manager.filter(pk="a/1")) == []
            assert manager.count() == 0


@pytest.mark.parametrize(
    "applications",
    [[], ["django.contrib.contenttypes"], ["django.contrib.contenttypes", "django.contrib.auth"], ADMIN],
    ids=["alone", "contenttypes", "auth", "admin"],
)
@pytest.mark.parametrize("config", [{}, NEVER], ids=["no databases", "dummy database"])
def test_a_project_without_a_database_starts(applications, config):
    assert "System check identified no issues" in run(applications, config, ["check"])


@pytest.mark.parametrize("applications", [[], ADMIN], ids=["alone", "admin"])
def test_commands_that_ask_all_models(applications, databases):
    """Guards projects that have never heard of the model."""
    written = run(
        applications,
        databases,
        ["check", "--fail-level", "DEBUG"],
        ["makemigrations", "--check", "--dry-run"],
        ["migrate", "--verbosity", "0"],
        ["migrate", "--run-syncdb", "--verbosity", "0"],
        ["migrate", "--check"],
        ["makemigrations", "--check", "--dry-run"],
        ["dumpdata", "django_websocket"],
        ["dumpdata", "--all", "django_websocket"],
        ["inspectdb"],
        ["sqlflush"],
        ["flush", "--no-input"],
    )
    assert "No changes detected" in written
    assert written.count("[]") == 2
    assert "liveconnection" not in written.lower().replace("# ", "")


@pytest.mark.django_db
def test_all_data_can_be_dumped(capsys):
    call_command("dumpdata", "--all", "--natural-foreign")
    models = {row["model"] for row in json.loads(capsys.readouterr().out)}
    assert "auth.permission" in models
    assert "django_websocket.liveconnection" not in models


@pytest.mark.django_db
def test_the_database_of_tests_can_be_serialized():
    """Tests with ``serialized_rollback`` load what Django writes here."""
    models = {row["model"] for row in json.loads(connection.creation.serialize_db_to_string())}
    assert "auth.permission" in models
    assert "django_websocket.liveconnection" not in models
