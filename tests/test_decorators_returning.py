"""The return values of a view, before the handshake and after it."""

import pytest
from django.http import FileResponse, HttpResponse
from django.views.generic import TemplateView

from django_websocket import accept_websocket, require_websocket

from .views import VERSIONS, make_route

pytestmark = pytest.mark.urls(__name__)

urlpatterns = []
route = make_route(urlpatterns)


@route("unused/")
@require_websocket(subprotocols=["chat"])
def unused(request):
    return None


@route("rejecting/")
@require_websocket
def rejecting(request):
    response = HttpResponse("no room for you\n", status=418, headers={"X-Reason": "tea"})
    response.set_cookie("tea", "pot")
    return response


class File:
    """The file of a FileResponse, which records whether it is closed."""

    read = None

    def __init__(self):
        self.closed = False

    def close(self):
        self.closed = True


files = []


@route("file/")
@require_websocket
def after_the_handshake(request):
    request.websocket.send("hello")
    files.append(File())
    return FileResponse(files[-1], status=404, headers={"X-Ignored": "yes"})


@route("template/")
@accept_websocket
def template(request):
    """Return a response that fails when it is rendered."""
    request.websocket.send("hello")
    return TemplateView.as_view(template_name="there/is/no.such")(request)


@route("nonsense/")
@accept_websocket
def nonsense(request):
    if request.is_websocket():
        request.websocket.send("hello")
    return "nonsense"


@route("closing/")
@accept_websocket
def closing(request):
    request.websocket.close(4001, "enough")
    return HttpResponse("ignored")


class TestReturning:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_nothing_before_the_handshake(self, client, version):
        with client.websocket("/unused/", version=version, subprotocols=["chat"]) as websocket:
            assert websocket.accepted
            assert websocket.subprotocol == "chat"
            assert websocket.wait() is None
        assert websocket.close_code == (1005 if version in {75, 76} else 1000)
        assert websocket.response.status_code == 101

    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_response_before_the_handshake(self, client, version):
        with client.websocket("/rejecting/", version=version) as websocket:
            assert not websocket.accepted
        response = websocket.response
        assert (response.status_code, response.content) == (418, b"no room for you\n")
        assert response.headers["X-Reason"] == "tea"
        assert client.cookies["tea"].value == "pot"

    def test_a_response_after_the_handshake(self, client):
        with client.websocket("/file/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1000
        assert websocket.response.status_code == 101
        assert b"".join(websocket.response) == b""
        assert "X-Ignored" not in websocket.response.headers
        assert files.pop().closed

    def test_a_template_after_the_handshake(self, client):
        with client.websocket("/template/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1000

    def test_something_else_after_the_handshake(self, client):
        with client.websocket("/nonsense/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1000

    def test_something_else_over_http(self, client):
        with pytest.raises(AttributeError, match="'str' object has no attribute"):
            client.get("/nonsense/")

    def test_a_response_after_closing(self, client):
        with client.websocket("/closing/") as websocket:
            assert websocket.wait() is None
        assert (websocket.close_code, websocket.close_reason) == (4001, "enough")
