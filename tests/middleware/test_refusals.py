"""The signal for requests that got no WebSocket; ``tests/housekeeping/test_reports.py`` has those of whole projects."""

from django.http import HttpResponse
from django.test import RequestFactory

from django_websocket import WebSocket
from django_websocket.exceptions import HandshakeError
from django_websocket.handshake.responses import refuse
from django_websocket.middleware.refusals import report_refusal
from django_websocket.signals import websocket_refused

from ..observing import received


def test_the_reason_is_that_of_the_refusal_whatever_the_client_gets_in_the_end():
    request = RequestFactory().get("/")
    refuse(request, HandshakeError("the Origin is not allowed", status=403))
    response = HttpResponse("a page of another middleware", status=302)
    with received(websocket_refused) as calls:
        assert report_refusal(request, response) is response
    (call,) = calls
    assert (call["sender"], call["request"]) == (WebSocket, request)
    assert (call["status"], call["reason"]) == (302, "the Origin is not allowed")


def test_a_response_of_others():
    with received(websocket_refused) as calls:
        report_refusal(RequestFactory().get("/"), HttpResponse(status=404))
    assert (calls[0]["status"], calls[0]["reason"]) == (404, "answered with 404 before the handshake")
