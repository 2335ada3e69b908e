"""What a view sends of templates."""

import re

import pytest
from django.http import HttpResponse
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.urls import path

from django_websocket import accept_websocket, require_websocket
from django_websocket.testing import WebSocketClient

from .connection.conftest import clean_registry, followed  # noqa: F401 - they are for every test
from .connection.line import connect
from .testing.test_client_compression import frames_of
from .views import OLD, make_route_by_name

TEMPLATES = {
    "line.html": '<p id="line" hx-swap-oob="true">{{ text }}</p>',
    "form.html": "{% csrf_token %}",
    "page.html": '{{ request.path }} {{ user }} {% load django_websocket %}{% websocket_url "room" %}',
    "broken.html": "{% if %}",
}

urlpatterns = [path("room/", HttpResponse, name="room")]
route = make_route_by_name(urlpatterns)
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture(autouse=True)
def _templates(settings):
    (backend,) = settings.TEMPLATES
    loaders = [("django.template.loaders.locmem.Loader", TEMPLATES)]
    plain = {"BACKEND": "django.template.backends.dummy.TemplateStrings", "NAME": "plain", "APP_DIRS": True}
    settings.TEMPLATES = [{**backend, "APP_DIRS": False, "OPTIONS": {**backend["OPTIONS"], "loaders": loaders}}, plain]


def test_a_template_is_sent_as_text():
    ws, line = connect()
    ws.send_template("line.html", {"text": "<ä> 😀"})
    ws.send_template("line.html")
    ws.send_template(["nowhere.html", "line.html"], {"text": 1})
    assert line.heard == [
        '<p id="line" hx-swap-oob="true">&lt;ä&gt; 😀</p>',
        '<p id="line" hx-swap-oob="true"></p>',
        '<p id="line" hx-swap-oob="true">1</p>',
    ]
    assert {type(message) for message in line.heard} == {str}


@pytest.mark.parametrize("version", OLD)
def test_over_an_old_version(version):
    with WebSocketClient().websocket("/pushes/", version=version) as websocket:
        websocket.send("go on")
        assert websocket.wait().startswith("/pushes/ ")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nowhere.html", TemplateDoesNotExist),
        (["a.html", "b.html"], TemplateDoesNotExist),
        ([], TemplateDoesNotExist),
        ("broken.html", TemplateSyntaxError),
    ],
)
def test_a_template_that_cannot_be_rendered_opens_nothing(name, error):
    ws, line = connect(accept=False)
    with pytest.raises(error):
        ws.send_template(name)
    assert not ws.handshake_sent
    ws.send_template("line.html", {"text": "good"})
    assert len(line.heard) == 1


def test_the_engine_of_a_template():
    ws, _ = connect()
    with pytest.raises(TemplateDoesNotExist) as caught:
        ws.send_template("line.html", using="plain")
    assert [error.backend.name for error in caught.value.chain] == ["plain"]


@route
@require_websocket
def pushes(request):
    for _ in request.websocket:
        request.websocket.send_template("page.html", request=request)


def test_with_the_request(client):
    """Context processors run, and the tags find what they need."""
    with client.websocket("/pushes/") as websocket:
        websocket.send("go on")
        assert websocket.wait() == "/pushes/ AnonymousUser ws://testserver/room/"


@route
@accept_websocket
def forms(request):
    if request.is_websocket():
        request.websocket.send_template("form.html", request=request)
        return None
    return HttpResponse(f"{request.method} was taken")


def test_a_form_that_was_sent_can_be_posted(client):
    """The handshake, which leaves behind the rendering, sets the cookie."""
    client.handler.enforce_csrf_checks = True
    with client.websocket("/forms/") as websocket:
        token = re.search('value="(.+?)"', websocket.wait())[1]
        assert "csrftoken=" in websocket.headers["set-cookie"]
    assert client.post("/forms/").status_code == 403
    assert client.post("/forms/", {"csrfmiddlewaretoken": token}).content == b"POST was taken"


@route
@require_websocket(compression={"threshold": 10})
def compressing(request):
    for compress in (None, True, False):
        request.websocket.wait()
        request.websocket.send_template("line.html", {"text": "text " * 1000}, compress=compress)


def test_whether_it_is_compressed(client):
    """Compression may tell the length of a secret in the template to whoever can put text of theirs beside it."""
    with client.websocket("/compressing/", compression=True) as websocket:
        firsts = frames_of(websocket)
        for _ in range(3):
            websocket.send("go on")
            assert "text text" in websocket.wait()
    assert firsts[:3] == [0xC1, 0xC1, 0x81]
