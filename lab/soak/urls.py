"""The project under test: views that clients of all kinds talk to. The rest of it is the live tests' project."""

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
    """Give back to the system what is not used any more: what is left then is held by somebody."""
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
    """Give the first message back, and take no other."""
    request.websocket.send(request.websocket.wait())
    request.websocket.wait()


@require_websocket(ping_interval=None)
def sleep(request):
    """Do something else for a while, and look now and then whether there are messages, without taking any."""
    request.websocket.accept()
    for _ in range(50):
        request.websocket.count_messages()
        pause(0.1)


def pause(seconds):
    """Sleep, and let the greenlets of an unpatched library run meanwhile."""
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
