"""The example project works: its pages by HTTP, its views by HTTP and by WebSocket. The chat has tests of its own."""

import html
import importlib
import inspect
import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from django.contrib.auth import get_user_model
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client, override_settings
from django.utils.module_loading import import_string
from pytest_django.plugin import DjangoDbBlocker

from django_websocket.testing.client import WebSocketClient

ROOT = Path(__file__).parent.parent
PROJECT = ROOT / "example_project"


#: The URL of the list of rooms, which the navigation calls the chat.
CHAT = "/chat/"


class Page(NamedTuple):
    """A page with the code that it shows, its script, and the ids that it promises to browser tests."""

    path: str
    shown: str
    script: str
    ids: str
    #: The link of the navigation that it marks, if not its own.
    current: str = ""
    #: Whether somebody has to be logged in.
    inside: bool = False


PAGES = [
    Page(
        "/echo/",
        "example_project.views.echo",
        "example_project/echo.js",
        "connect disconnect message send file log status close-code subprotocol",
    ),
    Page(
        "/both-ways/",
        "example_project.views.lower_case example_project.views.add_one",
        "example_project/both_ways.js",
        "lower-case add-one lower-case-input add-one-input",
    ),
    Page(
        "/about/",
        "example_project.views.about example_project.views.facts",
        "example_project/about.js",
        "connect disconnect status close-code subprotocol",
    ),
    Page("/chat/login/", "chat.models.Room chat.pushes.push_message", "", "name enter", CHAT),
    Page(
        CHAT,
        "chat.views.announce chat.pushes.push_announcement chat.views.listen",
        "chat/rooms.js",
        "me log-out rooms new-room open-room announcement announce announced dismiss status error",
        inside=True,
    ),
    Page(
        "/chat/1/",
        "chat.views.talk chat.pushes.push_message chat.pushes.push_who_is_here",
        "chat/room.js",
        "me log-out log message send here typing new status error announced dismiss",
        CHAT,
        inside=True,
    ),
]
each_page = pytest.mark.parametrize("page", PAGES, ids=[page.path for page in PAGES])


pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module", autouse=True)
def example_settings(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Put the example's settings in the place of the tests', and its tables beside the tests'."""
    sys.path.append(str(PROJECT))
    settings = importlib.import_module("example_project.settings")
    # A log that is configured here would stay so for all tests that come later.
    kept = {"DATABASES", "LOGGING"}
    changed = {name: value for name, value in vars(settings).items() if name.isupper() and name not in kept}
    with override_settings(**changed):
        finders.get_finder.cache_clear()  # the applications are other ones
        with django_db_blocker.unblock():
            call_command("migrate", "chat", verbosity=0)
        yield
        with django_db_blocker.unblock():
            call_command("migrate", "chat", "zero", verbosity=0)
    finders.get_finder.cache_clear()
    sys.path.remove(str(PROJECT))


@pytest.fixture
def client() -> Client:
    return Client(SERVER_NAME="localhost")


@pytest.fixture
def websocket_client() -> WebSocketClient:
    return WebSocketClient(SERVER_NAME="localhost")


def read(client: Client, page: Page) -> str:
    if page.inside:
        client.force_login(get_user_model().objects.get_or_create(username="Ada")[0])
    response = client.get(page.path)
    assert response.status_code == 200
    return response.content.decode()


def ids_of(text: str) -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', text))


def without_tint(shown: str) -> str:
    return html.unescape(re.sub(r'<span class="\w+">|</span>', "", shown))


def script_of(name: str) -> str:
    return Path(finders.find(name)).read_text(encoding="utf-8")


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.run(
        [sys.executable, "-W", "error", str(PROJECT / "manage.py"), *arguments],
        env={**inherited, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# Pages


def test_the_first_page_is_the_chat(client):
    response = client.get("/", follow=True)
    assert response.redirect_chain == [(CHAT, 302), (f"/chat/login/?next={CHAT}", 302)]
    assert 'id="name"' in response.content.decode()


def test_staff_find_the_live_connections(client):
    link = '<a href="/admin/django_websocket/liveconnection/">Live connections</a>'
    assert link not in client.get("/echo/").content.decode()
    client.force_login(get_user_model().objects.create_superuser("root"))
    assert link in client.get("/echo/").content.decode()
    assert client.get("/admin/django_websocket/liveconnection/").status_code == 200


@each_page
def test_a_page_has_its_elements_and_marks_itself_in_the_navigation(client, page):
    text = read(client, page)
    assert ids_of(text) >= set(page.ids.split())
    assert re.findall(r'<a href="(.*?)" aria-current="page">', text) == [page.current or page.path]


@each_page
def test_a_page_shows_the_very_source_of_its_views(client, page):
    code = re.search(r"<pre[^>]*><code>(.*?)</code></pre>", read(client, page), re.DOTALL)[1]
    sources = [inspect.getsource(import_string(name)).rstrip("\n") for name in page.shown.split()]
    assert without_tint(code) == "\n\n\n".join(sources)


@each_page
def test_a_page_is_self_contained(client, page):
    text = read(client, page)
    assert all(re.match(r"/(?!/)|#", url) for url in re.findall(r'(?:src|href)="([^"]*)"', text))
    assert not re.search(r"<style|\sstyle=|\son\w+=", text)
    scripts = re.findall(r"<script[^>]*>", text.replace('<script id="history" type="application/json">', ""))
    assert scripts == [f'<script type="module" src="/static/{page.script}">'] * bool(page.script)


@each_page
def test_the_static_files_of_a_page_are_there(client, page):
    for url in re.findall(r'(?:src|href)="(/static/[^"]*)"', read(client, page)):
        response = client.get(url)
        assert response.status_code == 200
        assert b"".join(response)


@each_page
def test_a_script_finds_its_modules_and_elements(client, page):
    ids = ids_of(read(client, page))
    names, done = {page.script} - {""}, set()
    while names:
        source = script_of(name := names.pop())
        done.add(name)
        modules = {posixpath.normpath(f"{name}/../{module}") for module in re.findall(r'from "(\.[^"]+)"', source)}
        # What all pages share is asked for the elements of its caller.
        names |= modules - done
        if name != "example_project/page.js":
            assert ids >= set(re.findall(r'\$\("([^"]+)"\)', source)), name


def test_the_stylesheet_loads_nothing():
    assert not re.search(r"url\(|@import|//", script_of("example_project/style.css"))


def test_the_content_security_policy_leaves_djangos_debug_pages_alone(client):
    with override_settings(DEBUG=True):
        assert "Content-Security-Policy" not in client.get("/nowhere/")
    with override_settings(DEBUG=False):
        assert "Content-Security-Policy" in client.get("/nowhere/")


def test_the_source_is_escaped_and_complete():
    highlighting = importlib.import_module("example_project.highlighting")
    source = '@tag(1)\ndef f(a):  # <&>\n    return f\'<{a}>{{}}\' if a < \'ä\' else """\n<b>"""\n'
    shown = highlighting.highlighted(source)
    assert "<b>" not in shown
    assert '<span class="comment"># &lt;&amp;&gt;</span>' in shown
    assert '<span class="name">f</span>' in shown
    assert without_tint(shown) == source.rstrip("\n")


# Views, by HTTP


def test_lower_case_answers_by_http(client):
    response = client.get("/lower_case/", {"message": "HELLO, Wörld"})
    assert response.content.decode() == "hello, wörld"


def test_lower_case_cannot_be_made_to_run_a_script(client):
    response = client.get("/lower_case/", {"message": "<script>alert(1)</script>"})
    assert "script-src 'self';" in response["Content-Security-Policy"]


def test_add_one_answers_by_http(client):
    assert client.get("/add_one/", {"value": "41"}).content == b"42"
    with pytest.raises(ValueError, match="invalid literal"):
        client.get("/add_one/", {"value": "x"})


@pytest.mark.parametrize("path", ["/ws/echo/", "/ws/echo_once/", "/ws/about/", "/ws/chat/", "/ws/chat/1/"])
def test_a_view_that_requires_a_websocket_refuses_http(client, path):
    assert client.get(path).status_code == 400


# Views, by WebSocket


@pytest.mark.parametrize("version", [13, 8, 7, 76, 75])
def test_echo(websocket_client, version):
    with websocket_client.websocket("/ws/echo/", version=version) as websocket:
        for message in ["Hello", "", "Grüße"]:
            websocket.send(message)
            assert websocket.wait() == message


def test_echo_takes_bytes(websocket_client):
    with websocket_client.websocket("/ws/echo/") as websocket:
        websocket.send(b"\x00\xff")
        assert websocket.wait() == b"\x00\xff"


def test_echo_once(websocket_client):
    with websocket_client.websocket("/ws/echo_once/") as websocket:
        websocket.send("Hello")
        assert websocket.wait() == "Hello"
        assert websocket.wait() is None


def test_lower_case_and_add_one_answer_by_websocket(websocket_client):
    with websocket_client.websocket("/lower_case/") as websocket:
        websocket.send("HELLO")
        assert websocket.wait() == "hello"
    with websocket_client.websocket("/add_one/") as websocket:
        websocket.send("41")
        assert websocket.wait() == "42"


@pytest.mark.parametrize("version", [13, 76])
def test_about_knows_the_connection(websocket_client, version):
    websocket_client.get("/about/")
    websocket_client.get("/about/")
    with websocket_client.websocket("/ws/about/?x=1", version=version, subprotocols=["about.v1"]) as websocket:
        for _ in range(2):
            websocket.send("?")
            facts = websocket.wait_json()
    assert facts["version"] == version
    assert facts["subprotocol"] == "about.v1"
    assert facts["offered_subprotocols"] == ["about.v1"]
    assert facts["path"] == "/ws/about/?x=1"
    assert facts["secure"] is False
    assert facts["user"] == "AnonymousUser"
    assert facts["pages_seen"] == 2
    assert "Django" in facts["server"]
    assert (facts["latency"] is None) == (version == 76)


def test_about_chooses_a_subprotocol(websocket_client):
    with websocket_client.websocket("/ws/about/", subprotocols=["about.v1", "about.v2"]) as websocket:
        assert websocket.subprotocol == "about.v2"


# The project


def test_the_checks_find_nothing():
    run = manage("check", "--fail-level", "WARNING")
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("redis_url", "ids"),
    [("redis://localhost:6379/0", ["I203", "I209"]), ("", ["W214", "I203", "I209"])],
    ids=["with Redis", "without Redis"],
)
def test_the_checks_of_production_warn_of_two_workers_without_redis_only(redis_url, ids):
    key = "".join(map(chr, range(48, 122)))
    environment = {"DJANGO_SETTINGS_MODULE": "example_project.production", "SECRET_KEY": key, "REDIS_URL": redis_url}
    run = manage("check", "--deploy", **environment)
    assert run.returncode == 0, run.stderr
    assert re.findall(r"\(django_websocket\.([EWI]\d+)\)", run.stderr) == ids


def test_its_own_tests_pass_and_use_no_redis():
    """Nothing listens at this address, so that a test that used it would fail."""
    run = manage("test", "chat", REDIS_URL="redis://127.0.0.1:1/0")
    assert run.returncode == 0, run.stderr
    assert "\nOK" in run.stderr


def test_its_migrations_are_complete(tmp_path):
    run = manage("makemigrations", "--check", "--dry-run", DATABASE=str(tmp_path / "db.sqlite3"))
    assert run.returncode == 0, run.stdout


def test_the_server_sets_up_the_database(tmp_path):
    """Only the command that serves does; all others leave the database as it is."""
    path = tmp_path / "db.sqlite3"
    assert manage("check", DATABASE=str(path)).returncode == 0
    assert not path.exists()
    code = (
        "from django.core.management import load_command_class\n"
        "load_command_class('django_websocket', 'runserver').check_migrations()\n"
        "from chat.models import Room\n"
        "print(Room.objects.count(), 'room')"
    )
    run = manage("shell", "--no-imports", "-c", code, DATABASE=str(path))
    assert "1 room" in run.stdout, run.stderr


def test_the_wsgi_application_is_there():
    run = manage("shell", "-c", "from example_project.wsgi import application; print(type(application).__name__)")
    assert "WSGIHandler" in run.stdout, run.stderr


def test_without_debug_there_is_no_default_key():
    assert "SECRET_KEY" in manage("check", DEBUG="0").stderr
    assert manage("check", DEBUG="0", SECRET_KEY="k" * 50).returncode == 0
