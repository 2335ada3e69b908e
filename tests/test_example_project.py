"""The example project works: its pages by HTTP, its views by HTTP and by WebSocket."""

import html
import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from django.contrib.staticfiles import finders
from django.test import Client, override_settings

from django_websocket.testing.client import WebSocketClient

ROOT = Path(__file__).parent.parent
PROJECT = ROOT / "example_project"


class Page(NamedTuple):
    """A page with the views that it shows, its script, and the ids that it promises to browser tests."""

    path: str
    shown: str
    script: str
    ids: str


PAGES = [
    Page("/", "echo", "echo.js", "connect disconnect message send file log status close-code subprotocol"),
    Page("/both-ways/", "lower_case add_one", "both_ways.js", "lower-case add-one lower-case-input add-one-input"),
    Page("/about/", "about facts", "about.js", "connect disconnect status close-code subprotocol"),
    Page("/chat/", "tell_everyone chat", "chat.js", "name members connect disconnect message send log status"),
]
each_page = pytest.mark.parametrize("page", PAGES, ids=[page.path for page in PAGES])


@pytest.fixture(scope="module", autouse=True)
def example_settings() -> Iterator[None]:
    """Put the example's settings in the place of the tests'."""
    sys.path.append(str(PROJECT))
    settings = importlib.import_module("example_project.settings")
    changed = {name: value for name, value in vars(settings).items() if name.isupper() and name != "DATABASES"}
    with override_settings(**changed):
        finders.get_finder.cache_clear()  # the applications are other ones
        yield
    finders.get_finder.cache_clear()
    sys.path.remove(str(PROJECT))


@pytest.fixture
def views() -> ModuleType:
    return importlib.import_module("example_project.views")


@pytest.fixture
def client() -> Client:
    return Client(SERVER_NAME="localhost")


@pytest.fixture
def websocket_client() -> WebSocketClient:
    return WebSocketClient(SERVER_NAME="localhost")


def read(client: Client, page: Page) -> str:
    response = client.get(page.path)
    assert response.status_code == 200
    return response.content.decode()


def ids_of(text: str) -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', text))


def without_tint(shown: str) -> str:
    return html.unescape(re.sub(r'<span class="\w+">|</span>', "", shown))


def script_of(name: str) -> str:
    return Path(finders.find(f"example_project/{name}")).read_text(encoding="utf-8")


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


@each_page
def test_a_page_has_its_elements_and_marks_itself_in_the_navigation(client, page):
    text = read(client, page)
    assert ids_of(text) >= set(page.ids.split())
    assert re.findall(r'<a href="(.*?)" aria-current="page">', text) == [page.path]


@each_page
def test_a_page_shows_the_very_source_of_its_views(client, views, page):
    code = re.search(r"<pre[^>]*><code>(.*?)</code></pre>", read(client, page), re.DOTALL)[1]
    sources = [inspect.getsource(getattr(views, name)).rstrip("\n") for name in page.shown.split()]
    assert without_tint(code) == "\n\n\n".join(sources)


@each_page
def test_a_page_is_self_contained(client, page):
    text = read(client, page)
    assert all(re.match(r"/(?!/)|#", url) for url in re.findall(r'(?:src|href)="([^"]*)"', text))
    assert not re.search(r"<style|\sstyle=|\son\w+=", text)
    assert re.findall(r"<script[^>]*>", text) == [f'<script type="module" src="/static/example_project/{page.script}">']


@each_page
def test_the_static_files_of_a_page_are_there(client, page):
    for url in re.findall(r'(?:src|href)="(/static/[^"]*)"', read(client, page)):
        response = client.get(url)
        assert response.status_code == 200
        assert b"".join(response)


@each_page
def test_a_script_finds_its_modules_and_elements(client, page):
    source = script_of(page.script)
    assert all(finders.find(f"example_project/{module}") for module in re.findall(r'from "\./([^"]+)"', source))
    assert ids_of(read(client, page)) >= set(re.findall(r'\$\("([^"]+)"\)', source))


def test_the_stylesheet_loads_nothing():
    assert not re.search(r"url\(|@import|//", script_of("style.css"))


def test_the_content_security_policy_leaves_djangos_debug_pages_alone(client):
    with override_settings(DEBUG=True):
        assert "Content-Security-Policy" not in client.get("/nowhere/")
    with override_settings(DEBUG=False):
        assert "Content-Security-Policy" in client.get("/nowhere/")


def test_the_source_is_escaped_and_complete():
    pages = importlib.import_module("example_project.pages")
    source = '@tag(1)\ndef f(a):  # <&>\n    return f\'<{a}>{{}}\' if a < \'ä\' else """\n<b>"""\n'
    shown = pages.highlighted(source)
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


@pytest.mark.parametrize("path", ["/ws/echo/", "/ws/echo_once/", "/ws/about/", "/ws/chat/"])
def test_a_view_that_requires_a_websocket_refuses_http(client, path):
    assert client.get(path).status_code == 400


# Views, by WebSocket


@pytest.mark.parametrize("version", [13, 8, 7, 76, 75])
def test_echo(websocket_client, version):
    with websocket_client.websocket("/ws/echo/", version=version) as websocket:
        for message in ["Hello", "", "Grüße"]:
            websocket.send(message)
            assert websocket.wait() == message


def test_echo_chooses_a_subprotocol_and_takes_bytes(websocket_client):
    with websocket_client.websocket("/ws/echo/", subprotocols=["echo.v1", "echo.v2"]) as websocket:
        assert websocket.subprotocol == "echo.v2"
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


def test_everybody_in_the_chat_hears_everybody(websocket_client, views):
    with websocket_client.websocket("/ws/chat/?name=Ada") as ada:
        assert ada.wait_json() == {"event": "joined", "name": "Ada", "members": 1}
        with websocket_client.websocket("/ws/chat/", version=76) as guest:
            assert ada.wait_json() == guest.wait_json() == {"event": "joined", "name": "Guest", "members": 2}
            guest.send("Hello")
            assert (
                ada.wait_json()
                == guest.wait_json()
                == {"event": "said", "name": "Guest", "text": "Hello", "members": 2}
            )
        assert ada.wait_json() == {"event": "left", "name": "Guest", "members": 1}
    assert not views.members


# The project


def test_the_checks_find_nothing():
    run = manage("check", "--fail-level", "WARNING")
    assert run.returncode == 0, run.stderr


def test_the_checks_of_production_warn_of_nothing_of_ours():
    key = "".join(map(chr, range(48, 122)))
    run = manage("check", "--deploy", DJANGO_SETTINGS_MODULE="example_project.production", SECRET_KEY=key)
    assert run.returncode == 0, run.stderr
    assert re.findall(r"\(django_websocket\.([EWI]\d+)\)", run.stderr) == ["I203", "I209"]


def test_the_wsgi_application_is_there():
    run = manage("shell", "-c", "from example_project.wsgi import application; print(type(application).__name__)")
    assert "WSGIHandler" in run.stdout, run.stderr


def test_without_debug_there_is_no_default_key():
    assert "SECRET_KEY" in manage("check", DEBUG="0").stderr
    assert manage("check", DEBUG="0", SECRET_KEY="k" * 50).returncode == 0
