"""The page on coming from elsewhere is true: what is before and what is after have the same conversation."""

import json
import threading

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import AnonymousUser, User
from django.urls import path
from websockets.sync.client import connect
from werkzeug.serving import make_server

from django_websocket.testing import WebSocketClient
from lab.servers import HOST

from .test_docs import ROOT, code_blocks, run

PAGE = "docs/migrating.rst"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def before(package, name):
    """Return what the block defines that uses a package and defines a name."""
    (block,) = [block for block in code_blocks(PAGE, TEXT) if package in block.source and f" {name}(" in block.source]
    assert block.fragment
    return run(block._replace(fragment=False))


AFTER = {name: value for block in code_blocks(PAGE, TEXT) for name, value in run(block).items()}
urlpatterns = [
    path("room/<slug:room>/", AFTER["chat"]),
    path("reverse/", AFTER["reverse"]),
    path("shout/", AFTER["shout"]),
]
pytestmark = pytest.mark.urls(__name__)

WORDS = ("hello", "", "é☃")


@pytest.fixture
def ann():
    return User.objects.create_superuser("ann")


# Channels


@pytest.mark.django_db
def test_the_chat(ann):
    client = WebSocketClient()
    client.force_login(ann)
    with client.websocket("/room/tea/") as first, client.websocket("/room/tea/") as second:
        for word in WORDS:
            first.send_json({"text": word})
            for websocket in (first, second):
                websocket.assert_message({"author": "ann", "text": word})


@pytest.mark.django_db
def test_the_chat_is_not_for_everybody():
    with WebSocketClient().websocket("/room/tea/") as websocket:
        assert websocket.response.status_code == 403


class Consumer(ApplicationCommunicator):
    """A connection to a consumer."""

    def __init__(self, consumer, user):
        scope = {"type": "websocket", "user": user, "url_route": {"kwargs": {"room": "tea"}}}
        super().__init__(consumer.as_asgi(), scope)

    async def open(self):
        await self.send_input({"type": "websocket.connect"})
        return (await self.receive_output(10))["type"]

    async def send_json(self, obj):
        await self.send_input({"type": "websocket.receive", "text": json.dumps(obj)})

    async def receive_json(self):
        return json.loads((await self.receive_output(10))["text"])

    async def close(self):
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(10)


@pytest.fixture
def consumer(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    return before("channels", "ChatConsumer")["ChatConsumer"]


@pytest.mark.django_db
def test_the_consumer(consumer, ann):
    """Guards that the consumer does what the view is said to replace."""

    async def talk():
        first, second = Consumer(consumer, ann), Consumer(consumer, ann)
        for connection in (first, second):
            assert await connection.open() == "websocket.accept"
        for word in WORDS:
            await first.send_json({"text": word})
            for connection in (first, second):
                assert await connection.receive_json() == {"author": "ann", "text": word}
        for connection in (first, second):
            await connection.close()

    async_to_sync(talk)()


@pytest.mark.django_db
def test_the_consumer_is_not_for_everybody(consumer):
    async def talk():
        connection = Consumer(consumer, AnonymousUser())
        assert await connection.open() == "websocket.close"
        await connection.close()

    async_to_sync(talk)()


# flask-sock


def test_reverse():
    with WebSocketClient().websocket("/reverse/") as websocket:
        for word in WORDS:
            websocket.send(word)
            websocket.assert_message(word[::-1])


@pytest.fixture
def address():
    """Return where the application of Flask has its WebSocket."""
    server = make_server(HOST, 0, before("flask_sock", "reverse")["app"], threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"ws://{HOST}:{server.server_port}/reverse"
    server.shutdown()
    thread.join()
    server.server_close()


def test_reverse_in_flask(address):
    with connect(address, proxy=None) as websocket:
        for word in WORDS:
            websocket.send(word)
            assert websocket.recv(timeout=10) == word[::-1]


# dwebsocket


def test_shout():
    with WebSocketClient().websocket("/shout/") as websocket:
        for word in WORDS:
            websocket.send(word)
            websocket.assert_message(word.upper())
    assert WebSocketClient().get("/shout/").status_code == 200


def test_every_block_has_its_counterpart():
    blocks = list(code_blocks(PAGE, TEXT))
    assert [block.fragment for block in blocks] == [True, False] * (len(blocks) // 2)
