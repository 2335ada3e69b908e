"""Views of the URLconf that could not work."""

import sys

import pytest
from django.contrib.auth.decorators import login_required
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View

from django_websocket import accept_websocket, checks, require_websocket
from django_websocket.views import WebSocketMixin

from .reports import ids

views = pytest.importorskip("rest_framework.views", reason="python -m pip install djangorestframework")
decorators = pytest.importorskip("rest_framework.decorators")


class Plain(views.APIView):
    def get(self, request):
        """Never called."""


class Mixed(WebSocketMixin, views.APIView):
    def websocket(self, request):
        """Never called."""


class Inside(views.APIView):
    @method_decorator(accept_websocket)
    def get(self, request):
        """Never called."""


@method_decorator(require_websocket, name="dispatch")
class Outside(views.APIView):
    def get(self, request):
        """Never called."""


def function(request):
    """Never called."""


api = decorators.api_view(["GET"])


def urls(*patterns):
    """Return an URLconf."""
    return type("urls", (), {"urlpatterns": patterns})


@pytest.fixture
def _urls(settings, request):
    settings.ROOT_URLCONF = urls(path("api/", include([path("chat/", request.param)])))


@pytest.mark.usefixtures("_urls")
class TestRestFramework:
    @pytest.mark.parametrize(
        "_urls",
        [
            accept_websocket(Plain.as_view()),
            Outside.as_view(),
            login_required(Outside.as_view()),
            require_websocket(api(function)),
        ],
        indirect=True,
    )
    def test_decorated_from_outside(self):
        assert ids() == ["W104"]
        (message,) = checks.check_rest_framework()
        assert message.msg == "The view of 'chat/' is one of Django REST framework, and is decorated from outside."
        assert "below @api_view" in message.hint
        assert "a WebSocketMixin with a method 'websocket'" in message.hint

    @pytest.mark.parametrize("_urls", [require_websocket(Plain.as_view())], indirect=True)
    def test_before_the_mixin_is_loaded(self, monkeypatch):
        monkeypatch.delitem(sys.modules, "django_websocket.views")
        assert ids() == ["W104"]

    @pytest.mark.parametrize(
        "_urls",
        [
            Plain.as_view(),
            Inside.as_view(),
            Mixed.as_view(),
            login_required(Mixed.as_view()),
            require_websocket(Mixed.as_view()),
            api(function),
            api(require_websocket(function)),
            require_websocket(function),
            require_websocket(View.as_view()),
        ],
        indirect=True,
    )
    def test_others(self):
        assert ids() == []


def test_without_the_framework(settings, monkeypatch):
    monkeypatch.delitem(sys.modules, "rest_framework.views")
    settings.ROOT_URLCONF = urls(path("chat/", Outside.as_view()))
    assert checks.check_rest_framework() == []


def test_without_urls(settings):
    settings.ROOT_URLCONF = None
    assert checks.check_rest_framework() == []
