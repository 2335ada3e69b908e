import pytest

from django_websocket.doctor import project

BROKEN = "tests.there_is_no_such_module"


def test_who_takes_websockets(settings):
    assert project.takes_websockets("/echo/") is True
    assert project.takes_websockets("/plain/") is False
    assert project.takes_websockets("/nowhere/") is None
    assert project.takes_websockets("/raise-after/%C3%A9/") is True
    settings.WEBSOCKET_ACCEPT_ALL = True
    assert project.takes_websockets("/plain/") is project.has_middleware() is True
    assert project.takes_websockets("/nowhere/") is None
    settings.MIDDLEWARE = []
    assert project.takes_websockets("/plain/") is project.has_middleware() is False, "the setting needs the middleware"


@pytest.mark.urls("tests.doctor.rest_views")
def test_a_decorator_inside_a_view_of_a_framework():
    pytest.importorskip("rest_framework")
    assert project.takes_websockets("/api/decorated/") is True
    assert project.takes_websockets("/api/7/") is False


def test_a_project_that_cannot_be_asked(settings):
    settings.ROOT_URLCONF = BROKEN
    assert project.takes_websockets("/echo/") is None
    assert not project.lists_origins("/echo/")


def test_hosts(settings):
    settings.ALLOWED_HOSTS = ["example.com", "[::1]"]
    assert project.allows_host("example.com") is project.allows_host("Example.com:8000") is True
    assert project.allows_host("[::1]:8000") is True
    assert project.allows_host("www.example.com") is project.allows_host("a b") is False
    settings.ALLOWED_HOSTS = []
    assert project.allows_host("localhost:8000") is False
    settings.DEBUG = True
    assert project.allows_host("localhost:8000") is True, "as Django has it"
    settings.ALLOWED_HOSTS = 7
    assert project.allows_host("localhost") is None


@pytest.mark.urls("tests.doctor.views")
def test_origins(settings):
    assert not project.lists_origins("/nowhere/")
    assert not project.lists_origins("/open/")
    assert project.lists_origins("/listed/")
    settings.WEBSOCKET_ALLOWED_ORIGINS = ["https://example.com"]
    assert project.lists_origins("/open/")
    settings.WEBSOCKET_ALLOWED_ORIGINS = 7
    assert not project.lists_origins("/open/")


def test_login(settings):
    assert project.login_urls() == ("/accounts/login/",)
    settings.LOGIN_URL = "no such name"
    assert project.login_urls() == ()


def test_versions(settings):
    assert project.speaks() == (13, 8, 7, 76, 75)
    assert not project.names_versions()
    settings.WEBSOCKET_PROTOCOLS = ["django_websocket.protocols.hixie76.Hixie76"]
    assert project.speaks() == (76,)
    assert project.names_versions()
    settings.WEBSOCKET_PROTOCOLS = [BROKEN]
    assert project.speaks() == (13,)


def test_asgi(settings):
    assert not project.looks_like_asgi()
    settings.ASGI_APPLICATION = "project.asgi.application"
    assert project.looks_like_asgi()
