# ruff: noqa: RET503 - the views stay as the documentation has them
"""The three example views of the documentation of 2010, unchanged."""

from django.http import HttpResponse

from django_websocket import accept_websocket, require_websocket


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
