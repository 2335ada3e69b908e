"""The view that Autobahn talks to: an echo. The rest is ``lab/project``."""

from django.http import HttpResponse
from django.urls import path

from django_websocket import require_websocket


def ready(request):
    return HttpResponse("ready")


@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


urlpatterns = [path("ready/", ready), path("echo/", echo)]
