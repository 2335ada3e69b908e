"""The tutorial works as it is printed: it is typed in from an empty directory, and talked to by clients not of ours."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

import pytest
import websocket as websocket_client
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from django_websocket.groups.backends.redis.keys import Keys
from lab.redis_servers import RedisServer, find_redis
from lab.servers import ROOT

from . import needs
from .tutorial import Tutorial
from .typed import blocks, blocks_in, write

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

#: Seconds in which a message has to come.
PATIENCE = 20


class Visitor:
    """A browser without scripts: it keeps cookies, and sends forms."""

    def __init__(self, server):
        self.server = server
        self.cookies = CookieJar()
        self._opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(self.cookies))

    def get(self, path):
        return self._opener.open(f"{self.server.origin}{path}", timeout=PATIENCE).read().decode()

    def post(self, path, data):
        body = urlencode(data).encode()
        return self._opener.open(f"{self.server.origin}{path}", body, timeout=PATIENCE).read().decode()

    def open_room(self, name):
        """Fill in the form of the rooms, with the token that it has; return the page of the room."""
        (token,) = re.findall('name="csrfmiddlewaretoken" value="(.*?)"', self.get("/"))
        return self.post("/", {"csrfmiddlewaretoken": token, "name": name})

    def address(self, page, name):
        """Return the address to which the script of a page connects."""
        (query,) = re.findall(r'new ReconnectingWebSocket\("(.*?)"\)', page)
        assert re.fullmatch(r"\?since=[0-9a-f]{8}-\d+", query)
        return self.server.url(f"/room/{name}/") + query

    def check_module(self, page):
        """See that the module that the script of a page imports is there."""
        (module,) = re.findall(r'import \{ ReconnectingWebSocket \} from "(/static/.*?)"', page)
        assert "export class ReconnectingWebSocket" in self.get(module)

    def connect(self, page, name):
        """Return a connection of websockets, to be used in a ``with`` statement."""
        headers = {"Cookie": self.cookie}
        return connect(self.address(page, name), origin=self.server.origin, additional_headers=headers, proxy=None)

    @property
    def cookie(self):
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies)


def name_in(page):
    (name,) = re.findall(r"You are (.*?)\.", page)
    return name


def wait_for(client, here):
    """Wait until a client is told that these are here, and nobody else."""
    while json.loads(client.recv(PATIENCE)) != {"here": sorted(here)}:
        pass


def next_message(receive):
    """Return the next message that is no news of who is here."""
    while "here" in (message := json.loads(receive())):
        pass
    return message


@pytest.fixture
def tutorial(tmp_path):
    return Tutorial(tmp_path)


@pytest.fixture
def serve(tutorial):
    servers = []

    def serve(text, **options):
        servers.append(tutorial.serve(text, **options))
        servers[-1].begin()
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture(params=["everything", "what groups need"])
def redis(tmp_path, request):
    """Return a Redis with a user who may do everything, or one who may do what the page on scaling says."""
    if find_redis() is None:
        needs.missing("redis-server", "redis-server")
    needs.module("redis", "redis")
    server = RedisServer(tmp_path / "redis")
    server.start()
    try:
        url = server.url
        if request.param == "what groups need":
            (rule,) = [block.text for block in blocks("scaling") if block.text.startswith("user ")]
            _, name, *words = rule.split()
            server.command("ACL", "SETUSER", name, *words)
            url = url.replace("://", f"://{name}:{words[1].removeprefix('>')}@")
        yield server, url
    finally:
        server.stop()


def test_one_process(tutorial, serve):
    """Guards the page up to its tests: rooms, names, messages, who is here, and what was missed."""
    server = serve(tutorial.go_on("runserver"))
    ann, bob = Visitor(server), Visitor(server)
    page = ann.open_room("tea")
    assert 'action="' not in page
    ann.check_module(page)
    other_page = bob.get("/room/tea/")
    assert '<a href="/room/tea/">tea</a>' in bob.get("/")
    with ann.connect(page, "tea") as hers:
        assert json.loads(hers.recv(PATIENCE)) == {"here": [name_in(page)]}
        his = websocket_client.create_connection(
            bob.address(other_page, "tea"), PATIENCE, origin=server.origin, cookie=bob.cookie
        )
        everybody = sorted({name_in(page), name_in(other_page)})
        assert json.loads(his.recv()) == {"here": everybody}
        assert name_in(page) == name_in(other_page) or json.loads(hers.recv(PATIENCE)) == {"here": everybody}
        his.send("<b>hello</b>")
        message = next_message(his.recv)
        assert message["data"] == {"id": 1, "author": name_in(other_page), "text": "<b>hello</b>"}
        assert next_message(lambda: hers.recv(PATIENCE)) == message
        his.close()
        # While he is away:
        hers.send("   ")
        hers.send("are you there?")
        assert next_message(lambda: hers.recv(PATIENCE))["data"]["text"] == "are you there?"
        back = websocket_client.create_connection(
            re.sub("since=.*", f"since={message['id']}", bob.address(other_page, "tea")),
            PATIENCE,
            origin=server.origin,
            cookie=bob.cookie,
        )
        assert next_message(back.recv)["data"]["text"] == "are you there?"
        back.close()
    assert "&lt;b&gt;hello&lt;/b&gt;" in bob.get("/room/tea/")
    server.check_log()


def test_users_who_log_in(tutorial, serve):
    """Guards the list of changes: the pages lead to a login that works, and a WebSocket without one gets 4401."""
    commands = tutorial.go_on("runserver")
    page = (ROOT / "docs" / "tutorial.rst").read_text(encoding="utf-8")
    _, _, section = page.partition("\nUsers who log in\n---")
    changes = blocks_in(re.sub("^  ", "", section.partition("\nTests\n===")[0], flags=re.MULTILINE))
    assert len(changes) == 4
    for block in changes:
        write(tutorial.project, block)
    tutorial.run("""python manage.py shell -c "
from django.contrib.auth.models import User
User.objects.create_user('ann', password='tea')"
""")
    server = serve(commands, ready="/accounts/login/")
    ann = Visitor(server)
    (token,) = re.findall('name="csrfmiddlewaretoken" value="(.*?)"', ann.get("/"))
    (following,) = re.findall('name="next" value="(.*?)"', ann.get("/"))
    data = {"csrfmiddlewaretoken": token, "username": "ann", "password": "tea", "next": following}
    assert "<h1>Rooms</h1>" in ann.post("/accounts/login/", data)
    room = ann.open_room("tea")
    assert name_in(room) == "ann"
    with ann.connect(room, "tea") as hers:
        assert json.loads(hers.recv(PATIENCE)) == {"here": ["ann"]}
    stranger = Visitor(server)
    assert "<h1>Log in</h1>" in stranger.get("/room/tea/")
    with stranger.connect(room, "tea") as theirs, pytest.raises(ConnectionClosedError) as closed:
        theirs.recv(PATIENCE)
    assert closed.value.rcvd.code == 4401
    server.check_log()


def test_its_tests_pass(tutorial):
    tutorial.go_on("pip install")
    assert re.search(r"Ran [1-9]\d* tests in .*\n\nOK\n", tutorial.output), tutorial.output


def test_its_tests_use_no_redis(tutorial):
    """Guards the condition in the settings: nothing listens at this address, so that a test would fail."""
    tutorial.go_on("gunicorn --workers")
    tutorial.run("export REDIS_URL=redis://127.0.0.1:1/0\npython manage.py test")


def test_two_processes_and_a_shell(tutorial, serve, redis):
    """Guards the rest of the page; the address of Redis is the only thing that is typed in otherwise."""
    redis, tutorial.redis_url = redis
    commands = tutorial.go_on("gunicorn --workers")
    assert f"REDIS_URL={tutorial.redis_url}\n" in commands
    server = serve(commands)
    assert len(server.children()) == 2
    ann = Visitor(server)
    page = ann.open_room("tea")
    ann.check_module(page)
    channel = Keys("django-websocket").channel("talk:1")
    with ExitStack() as stack:
        clients = []
        # Each process serves at least one of them, and some of the room are in the other process.
        while redis.command("PUBSUB", "NUMSUB", channel)[1] < 2:
            assert len(clients) < 50
            clients.append(stack.enter_context(ann.connect(page, "tea")))
        bob = Visitor(server)
        names = {name_in(page), name_in(bobs := bob.get("/room/tea/"))}
        with bob.connect(bobs, "tea") as his:
            wait_for(his, names)
            for client in clients:
                wait_for(client, names)
        if len(names) > 1:
            for client in clients:
                wait_for(client, {name_in(page)})
        clients[0].send("hello")
        messages = [next_message(lambda client=client: client.recv(PATIENCE)) for client in clients]
        assert messages == [messages[0]] * len(clients)
        assert messages[0]["data"]["text"] == "hello"
        tutorial.go_on()
        for client in clients:
            message = next_message(lambda client=client: client.recv(PATIENCE))
            assert message["data"] == {"id": 2, "author": "the shell", "text": "Hello"}
    assert "Traceback" not in server.text
