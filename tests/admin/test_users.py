"""The users of WebSockets, also those of a model of a project's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth.models import User

from django_websocket.admin.users import MAX_FOUND, Users, find_keys

ROOT = Path(__file__).parent.parent.parent

#: A project whose users have a UUID for a key and an address for a name, and a manager that finds only some of them.
PROJECT = '''
import sys, types, uuid
from django.conf import settings

settings.configure(
    SECRET_KEY="x", ROOT_URLCONF=__name__, AUTH_USER_MODEL="people.Person", STATIC_URL="static/", USE_TZ=True,
    ALLOWED_HOSTS=["testserver"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django_websocket", "people", "django.contrib.admin", "django.contrib.auth",
                    "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.messages"],
    MIDDLEWARE=["django_websocket.middleware.WebSocketMiddleware",
                "django.contrib.sessions.middleware.SessionMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
        "context_processors": ["django.template.context_processors.request",
                               "django.contrib.auth.context_processors.auth",
                               "django.contrib.messages.context_processors.messages"]}}],
)

# An application without files.
people = types.ModuleType("people")
people.__path__ = [sys.argv[1]]
sys.modules["people"] = people
models_module = types.ModuleType("people.models")
sys.modules["people.models"] = models_module
SOURCE = """
import uuid
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models

class Visible(BaseUserManager):
    def get_queryset(self):
        return super().get_queryset().exclude(email="hidden@example.org")

class Person(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(default=False)
    USERNAME_FIELD = "email"
    objects = Visible()
    class Meta:
        app_label = "people"
"""

import django
exec_models = lambda: exec(compile(SOURCE, "models", "exec"), models_module.__dict__)
import importlib.abc, importlib.machinery
del sys.modules["people.models"]

class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name == "people.models":
            return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        return models_module

    def exec_module(self, module):
        exec_models()

sys.meta_path.insert(0, Finder())
django.setup()

from django.contrib import admin
from django.core.management import call_command
from django.test import Client
from django.urls import path
from django_websocket.groups import snapshot
from people.models import Person
from tests.groups.infos import make_info
from django_websocket.process.identity import identity

admin.site.register(Person)
urlpatterns = [path("admin/", admin.site.urls)]
call_command("migrate", run_syncdb=True, verbosity=0)
root = Person.objects.create(email="root@example.org", is_staff=True, is_superuser=True)
hidden = Person.objects.create(email="hidden@example.org")
infos = [make_info(id=f"{identity.process_id}/{n}", user_id=key) for n, key in
         enumerate([str(root.pk), str(hidden.pk), "12"])]
snapshot.connections = lambda: infos
client = Client()
client.force_login(root)
address = "/admin/django_websocket/liveconnection/"
source = client.get(address).content.decode()
assert f'<a href="/admin/people/person/{root.pk}/change/">root@example.org</a>' in source, source
assert "hidden@example.org" in source
assert "unknown user 12" in source
source = client.get(address, {"user": "HIDDEN@example.org"}).content.decode()
assert "1 live connection of 3" in " ".join(source.split()), source
source = client.get(f"{address}close/", {"all_of": str(hidden.pk)}).content.decode()
assert "all live connections of hidden@example.org?" in source
from django.contrib.admin.models import LogEntry
client.post(f"{address}close/?all_of={hidden.pk}")
assert LogEntry.objects.get().object_repr == "all live connections of hidden@example.org"
'''


def test_a_model_of_users_of_a_projects_own(tmp_path):
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROJECT, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.fixture
def request_of(rf):
    def make(user):
        request = rf.get("/")
        request.user = user
        return request

    return make


@pytest.mark.django_db
def test_nobody_costs_no_query(request_of, admin_user, django_assert_num_queries):
    request = request_of(admin_user)
    with django_assert_num_queries(0):
        users = Users([None, "no number", "9" * 30], admin.site, request)
        assert users.show("no number") == ("no number", "unknown user no number", None)


@pytest.mark.django_db
@pytest.mark.urls("tests.urls")
def test_an_admin_that_has_no_page_for_a_user(request_of, admin_user):
    """Guards admins of users whose addresses are not Django's."""
    users = Users([str(admin_user.pk)], admin.site, request_of(admin_user))
    assert users.show(str(admin_user.pk)) == (str(admin_user.pk), "admin", None)


@pytest.mark.django_db
def test_a_name_that_is_also_a_key(admin_user):
    named = User.objects.create(username=str(admin_user.pk))
    assert find_keys(str(admin_user.pk)) == (str(admin_user.pk), str(named.pk))


@pytest.mark.django_db
def test_not_too_many_are_found():
    User.objects.bulk_create(User(username=name) for name in map("".join, _cases("annabel")))
    assert len(find_keys("ANNABEL")) == MAX_FOUND + 1


@pytest.mark.django_db
def test_a_name_that_is_no_text(monkeypatch):
    """It may be a number, or a relation, which no text can be compared with."""
    monkeypatch.setattr(User, "USERNAME_FIELD", "date_joined")
    assert find_keys("7") == ("7",)


def _cases(word):
    """Return a word in all mixtures of upper and lower case."""
    if not word:
        return [""]
    return [first + rest for rest in _cases(word[1:]) for first in (word[0], word[0].upper())]
