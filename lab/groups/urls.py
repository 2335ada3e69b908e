"""The views that the clients join a group by. The rest is ``lab/project``.

A view sends JSON about itself that begins with ``{"lab"``, so that clients can tell it from the messages of groups.
"""

import json
import logging
import os
import threading
import time
from collections import Counter

from django.http import HttpResponse, JsonResponse
from django.urls import path

from django_websocket import Group, all_connections, disconnect_connection, groups_status, require_websocket
from django_websocket.exceptions import GroupError
from django_websocket.process.threads import start_thread
from django_websocket.signals import group_gap, member_joined, member_left

from .publish import publish_all

log = logging.getLogger("live")

#: How often each signal was sent in this process.
signals = Counter()
_guard = threading.Lock()


def on_gap(group, lost, **kwargs):
    """Log a loss: the process may be gone when somebody asks."""
    log.info("gap %s", json.dumps({"pid": os.getpid(), "group": group, "lost": lost}))


def on_joined(group, name, **kwargs):
    with _guard:
        signals["joined"] += 1


def on_left(group, name, **kwargs):
    with _guard:
        signals["left"] += 1


group_gap.connect(on_gap)
member_joined.connect(on_joined)
member_left.connect(on_left)


def ready(request):
    return HttpResponse("ready")


def status():
    """Return the state of groups in this process."""
    return {alias: state._asdict() for alias, state in groups_status().items()}


def join(request, group):
    """Be a member of a group until the client leaves, and say how it went."""
    websocket = request.websocket
    room = Group(group, history=int(request.GET.get("history", "0")))
    try:
        replay = room.add(websocket, name=request.GET.get("name"), since=request.GET.get("since"))
    except GroupError as error:
        log.info("unavailable %s", error)
        websocket.close(1013, "the group is away")
        return
    websocket.send_json({"lab": "joined", "pid": os.getpid(), "replay": [replay.complete, replay.missed]})
    answer(websocket)


def answer(websocket):
    """Say how this process is, as often as the client asks, until it leaves."""
    for message in websocket:
        if message == "status":
            websocket.send_json({"lab": "status", "pid": os.getpid(), "groups": status(), "signals": signals})


def many(request, number):
    """Be a member of many groups at once, by the same name in each."""
    websocket = request.websocket
    for group in range(int(request.GET["groups"])):
        Group(f"many.{group}").add(websocket, name=f"{number}")
    websocket.send_json({"lab": "joined", "pid": os.getpid(), "replay": [True, 0]})
    answer(websocket)


class NativeThread:
    """A thread of the system, whatever is patched. It is waited for without blocking greenlets."""

    def __init__(self, target, args):
        self._target = target
        self._args = args
        self._done = False

    def start(self):
        start_thread(self._run)

    def _run(self):
        try:
            self._target(*self._args)
        finally:
            self._done = True

    def join(self):
        while not self._done:
            time.sleep(0.02)


def publish(request, group):
    """Publish from native threads of this process, and return the report."""
    options = {name: int(request.GET[name]) for name in ("messages", "history", "threads", "size")}
    rate = float(request.GET["rate"])
    return JsonResponse(publish_all(group, request.GET["name"], rate=rate, thread=NativeThread, **options))


def names(request):
    """Return how many names there are in all groups of :func:`many`, each counted in each group."""
    count = sum(len(Group(f"many.{number}").members()) for number in range(int(request.GET["groups"])))
    return HttpResponse(f"{count}")


def everyone(request):
    """Return the WebSockets of all processes, as one of them sees them; with ``close``, close the one with that id."""
    if "close" in request.GET:
        disconnect_connection(request.GET["close"])
    began = time.monotonic()
    found = all_connections(float(request.GET.get("timeout", "20")), text=request.GET.get("text", ""))
    return JsonResponse(
        {
            "ids": [info.id for info in found.connections],
            "total": found.totals.connections,
            "pids": {process.pid: process.open for process in found.processes},
            "silent": found.silent,
            "problems": found.problems,
            "seconds": time.monotonic() - began,
        }
    )


urlpatterns = [
    path("ready/", ready),
    path("join/<group>/", require_websocket(join)),
    path("many/<int:number>/", require_websocket(many)),
    path("publish/<group>/", publish),
    path("names/", names),
    path("everyone/", everyone),
]
