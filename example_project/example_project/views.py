"""The WebSocket views. Each page of the site shows the source of the views that its scripts connect to."""

# ruff: noqa: RET503  a WebSocket view ends by returning nothing

import platform
import threading
from contextlib import suppress

import django
from django.http import HttpResponse

from django_websocket import UnsupportedFeature, accept_websocket, require_websocket


@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket
def echo_once(request):
    message = request.websocket.wait()
    request.websocket.send(message)


@accept_websocket
def lower_case(request):
    if not request.is_websocket():
        return HttpResponse(request.GET["message"].lower())
    for message in request.websocket:
        request.websocket.send(message.lower())


@accept_websocket
def add_one(request):
    if request.is_websocket():
        for message in request.websocket:
            request.websocket.send(int(message) + 1)
    else:
        return HttpResponse(int(request.GET["value"]) + 1)


@require_websocket(subprotocols=["about.v2", "about.v1"])
def about(request):
    request.websocket.accept()
    for _question in request.websocket:
        request.websocket.send_json(facts(request))
        with suppress(UnsupportedFeature):  # hixie-75 and hixie-76 have no ping
            request.websocket.ping()


def facts(request):
    return {
        "version": request.websocket.version,
        "subprotocol": request.websocket.subprotocol,
        "offered_subprotocols": request.websocket.offered_subprotocols,
        "latency": request.websocket.latency,
        "path": request.get_full_path(),
        "host": request.get_host(),
        "origin": request.headers.get("Origin"),
        "secure": request.is_secure(),
        "user_agent": request.headers.get("User-Agent"),
        "client": request.META.get("REMOTE_ADDR"),
        "user": str(request.user),
        "pages_seen": request.session.get("pages_seen", 0),
        "server": server(request),
        "thread": threading.current_thread().name,
    }


def server(request):
    software = request.META.get("SERVER_SOFTWARE", "unnamed server")
    if software.startswith("WSGIServer"):
        software = "Django's development server"
    return f"{software}, Django {django.get_version()}, Python {platform.python_version()}"
