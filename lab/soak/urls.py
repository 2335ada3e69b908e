"""The views that the clients talk to. The rest is ``lab/project``."""

import ctypes
import gc
import sys
import time

from django.http import HttpResponse
from django.urls import path

from django_websocket import require_websocket


def ready(request):
    return HttpResponse("ready")


def tidy(request):
    """Return unused memory to the system, so that the rest is in use."""
    found = gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return HttpResponse(f"{found}")


@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket
def flood(request):
    """Send until the client is gone."""
    message = "x" * 65536
    while True:
        request.websocket.send(message)


@require_websocket(ping_interval=None)
def hold(request):
    """Echo the first message, and wait for another, which does not come whole."""
    request.websocket.send(request.websocket.wait())
    request.websocket.wait()


@require_websocket(ping_interval=None)
def sleep(request):
    """Do something else for some seconds, and count the messages that wait now and then, without receiving any."""
    request.websocket.accept()
    for _ in range(50):
        request.websocket.count_messages()
        pause(0.1)


def pause(seconds):
    """Sleep by the library in use, so that its greenlets run meanwhile although nothing is patched."""
    for name in ("eventlet", "gevent"):
        if name in sys.modules:
            sys.modules[name].sleep(seconds)
            return
    time.sleep(seconds)


urlpatterns = [
    path("ready/", ready),
    path("tidy/", tidy),
    path("echo/", echo),
    path("flood/", flood),
    path("hold/", hold),
    path("sleep/", sleep),
]
