"""A page that connects to the address that ``{% websocket_url %}`` writes."""

import os
import textwrap

import pytest

from lab.kinds import Kind
from lab.project.server import Server
from lab.servers import HOST, ROOT

pytestmark = pytest.mark.browser

SITE = """
import sys

from django.core.management import execute_from_command_line
from django.shortcuts import render
from django.urls import path
from django_websocket import accept_websocket

DEBUG = True
SECRET_KEY = "not a secret"
ROOT_URLCONF = "site_of_one_file"
INSTALLED_APPS = ["django_websocket"]
MIDDLEWARE = ["django_websocket.middleware.WebSocketMiddleware"]
PAGE = '''
    {% load django_websocket %}<link rel="icon" href="data:,">
    <p id="url">{% websocket_url "greet" "Ann & Bob" %}</p><p id="answer"></p>
    <script>
        const socket = new WebSocket(document.getElementById("url").textContent);
        socket.onmessage = ({ data }) => document.getElementById("answer").innerHTML = data;
    </script>
'''
LOADERS = [("django.template.loaders.locmem.Loader", {"page.html": PAGE, "answer.html": "<b>{{ name }}</b>"})]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"loaders": LOADERS}}]


def page(request):
    return render(request, "page.html")


@accept_websocket
def greet(request, name):
    request.websocket.send_template("answer.html", {"name": name}, request=request)


urlpatterns = [path("", page), path("greet/<name>/", greet, name="greet")]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
"""


@pytest.fixture
def server(tmp_path):
    site = tmp_path / "site_of_one_file.py"
    site.write_text(textwrap.dedent(SITE), encoding="utf-8")
    paths = [str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")]
    server = Server(
        Kind("websocket_url", (str(site), "runserver", "--noreload", "--skip-checks", f"{HOST}:{{port}}")),
        tmp_path / "log",
        environment={
            "DJANGO_SETTINGS_MODULE": "site_of_one_file",
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        },
        strict=False,
        ready="/",
    )
    yield server
    server.stop()


def test_the_page_connects(chromium, server):
    browser = chromium(server)
    for host in ("127.0.0.1", "localhost"):
        browser.driver.get(f"http://{host}:{server.port}/")
        browser.until_text("#answer", "Ann & Bob")
        assert browser.text("#url") == f"ws://{host}:{server.port}/greet/Ann%20&%20Bob/"
        assert browser.run("return document.querySelectorAll('#answer > b').length") == 1
