"""A redirect refuses a WebSocket. The log tells a login from a wrong address."""

import pytest
from django.contrib.auth.decorators import login_required, user_passes_test
from django.http import HttpResponse, HttpResponseRedirect
from django.test import RequestFactory
from django.urls import path

from django_websocket import accept_websocket
from django_websocket.handshake.redirects import is_login

from ..observing import records
from ..requests import attempt
from ..views import make_route_by_name

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [path("accounts/login/", lambda _: HttpResponse("login"), name="login")]
route = make_route_by_name(urlpatterns)

NOT_LOGGED_IN = (
    "not logged in, or the cookie of the session did not come along (the answer is a redirect to the login page, which "
    "no browser follows here, though other clients may)"
)
WRONG_ADDRESS = (
    "by a redirect, which no browser follows here, though other clients may: is its address right, to the slash and "
    "the scheme?"
)


@route
@login_required
@accept_websocket
def outside(request):
    pytest.fail("a refused request must not reach its view")


@route
@accept_websocket
@login_required
def inside(request):
    pytest.fail("a refused request must not reach its view")


@route
@user_passes_test(lambda _: False, login_url="https://sso.example/enter/", redirect_field_name="back")
@accept_websocket
def elsewhere(request):
    pytest.fail("a refused request must not reach its view")


@route
@accept_websocket
def moved(request):
    return HttpResponseRedirect("/new/?page=1")


def message(caplog):
    (record,) = records(caplog)
    return record.getMessage()


@pytest.mark.django_db
@pytest.mark.parametrize("view", ["outside", "inside", "elsewhere"])
@pytest.mark.parametrize("login_url", ["/accounts/login/", "login", "/elsewhere/?a=b"])
def test_not_logged_in(settings, caplog, view, login_url):
    settings.LOGIN_URL = login_url
    assert attempt(f"/{view}/?page=2").status_code == 302
    assert message(caplog) == f"WebSocket refused at /{view}/: {NOT_LOGGED_IN}"


def test_another_redirect(caplog):
    assert attempt("/moved/").status_code == 302
    assert message(caplog) == f"WebSocket refused at /moved/ {WRONG_ADDRESS}"


def test_a_slash_that_is_missing(caplog):
    assert attempt("/moved").status_code == 301
    assert message(caplog) == f"WebSocket refused at /moved {WRONG_ADDRESS}"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/accounts/login/", True),
        ("/accounts/login/?next=/elsewhere/", True),
        ("/enter/?next=/room/", True),
        ("/enter/?next=/room/%3Fa%3Db", True),
        ("https://sso.example/?back=http%3A//testserver/room/", True),
        ("", False),
        ("/room/", False),
        ("https://testserver/room/", False),
        ("/room/?page=2", False),
        ("https://other.example/accounts/login/", False),
        ("/enter/?next=/other/room/", False),
        # Nobody can parse these.
        ("http://[", False),
        ("/enter/?next=http://[", False),
    ],
)
def test_is_login(location, expected):
    assert is_login(RequestFactory().get("/room/"), location) is expected


def test_a_login_url_that_does_not_exist(settings):
    settings.LOGIN_URL = "no-such-name"
    assert not is_login(RequestFactory().get("/room/"), "/no-such-name/")
