"""Channels with groups on Redis: ``python -m lab.benchmarks.apps.channels_groups core|pubsub PORT``.

It starts a Redis of its own, on a Unix socket, which ends with it.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import django
import uvicorn
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import path

from lab.benchmarks.batches import JOIN, Batch
from lab.servers import PATIENCE, find_program

LAYERS = {"core": "channels_redis.core.RedisChannelLayer", "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer"}
GROUP = "members"

urlpatterns = []


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data=text_data, bytes_data=bytes_data)


class Fan(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        if text_data == JOIN:
            await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.send(text_data=text_data, bytes_data=bytes_data)

    async def disconnect(self, _code):
        await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def fan_message(self, event):
        await self.send(text_data=event["text"])


class Publish(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, **_):
        batch = Batch(text_data)
        for message in batch:
            await self.channel_layer.group_send(GROUP, {"type": "fan.message", "text": message})
        await self.send(text_data=batch.answer({"ways": ["group"]}))


def start_redis(folder):
    socket = Path(folder) / "redis.sock"
    options = ("--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder)
    subprocess.Popen([find_program("redis-server"), *options], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    while not socket.exists():
        if time.monotonic() > deadline:
            raise RuntimeError("Redis does not start")
        time.sleep(0.01)
    return f"unix://{socket}"


def main(layer, port):
    # The folder stays behind: SIGTERM ends the process group, and with it Redis, which needs the folder until then.
    location = start_redis(tempfile.mkdtemp(prefix="redis"))
    # Since redis-py 8.0 the defaults of both do not suit the calls of channels-redis, which wait for 5 seconds, and of
    # which each consumer makes its own: consumers fail with "Timeout reading" and "Too many connections".
    config = {"hosts": [{"address": location, "socket_timeout": None, "max_connections": 100_000}]}
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        # Nothing may be dropped, as nothing is by the others.
        CHANNEL_LAYERS={"default": {"BACKEND": LAYERS[layer], "CONFIG": {**config, "capacity": 100_000}}},
        INSTALLED_APPS=["channels"],
        LOGGING_CONFIG=None,
        MIDDLEWARE=[],
        ROOT_URLCONF=__name__,
        SECRET_KEY="not a secret",
    )
    django.setup()
    consumers = {"echo": Echo, "fan": Fan, "fan/publish": Publish}
    routes = [path(name, consumer.as_asgi()) for name, consumer in consumers.items()]
    application = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": URLRouter(routes)})
    uvicorn.run(application, host="127.0.0.1", port=port, ws="websockets-sansio", log_level="error", backlog=4096)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
