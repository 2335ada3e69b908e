"""A Django project that echoes, and publishes to a group: ``lab.benchmarks.apps.project:application``."""

import socket
from functools import cache

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

from django_websocket import require_websocket
from django_websocket.servers import find
from lab.benchmarks.batches import JOIN, Batch

from .fanning import bare

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["django_websocket"],
    LOGGING_CONFIG=None,
    MIDDLEWARE=["django_websocket.middleware.WebSocketMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret",
    WEBSOCKET_GROUPS={
        "default": {"BACKEND": "django_websocket.groups.backends.memory.MemoryBackend"},
        # Members that do not read reach this limit within seconds.
        "slow": {
            "BACKEND": "django_websocket.groups.backends.memory.MemoryBackend",
            "OPTIONS": {"QUEUE_BYTES": 100_000},
        },
    },
)
django.setup()


@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


#: The WebSockets of members and the descriptors of their sockets. They are here before they join, so that this
#: dictionary is no part of what a member costs.
members = {}


@cache
def group(alias):
    # The import is here so that echoes are measured without groups.
    from django_websocket import Group

    return Group("members", using=alias)


@require_websocket
def corked(request):
    websocket = request.websocket
    with websocket.corked():
        for message in websocket:
            websocket.send(message)


def join(request, alias):
    websocket = request.websocket
    sock = find(request.environ).sock
    if alias == "slow":
        # The kernel would keep megabytes for a member that does not read.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
    members[websocket] = sock.fileno()
    try:
        for message in websocket:
            if message == JOIN:
                group(alias).add(websocket)
            websocket.send(message)
    finally:
        del members[websocket]


@require_websocket
def fan(request):
    join(request, "default")


# The members that are dropped have this time to read why, and the load client begins to read after a while only.
@require_websocket(close_timeout=10)
def slow(request):
    join(request, "slow")


def send_to_each(message):
    for websocket in list(members):
        websocket.send(message)


@require_websocket
def publish(request, alias="default"):
    from django_websocket import groups_status

    websocket = request.websocket
    with bare(members.values()) as send_bare:
        ways = {"bare": send_bare, "group": group(alias).send, "each": send_to_each}
        for command in websocket:
            batch = Batch(command)
            for message in batch:
                ways[batch.way](message)
            status = groups_status()[alias]._asdict()
            websocket.send(batch.answer({"ways": list(ways), "status": status, "views": len(members)}))


urlpatterns = [
    path("echo", echo),
    path("corked", corked),
    path("fan", fan),
    path("fan/publish", publish),
    path("slow", slow),
    path("slow/publish", publish, {"alias": "slow"}),
]
application = get_wsgi_application()
