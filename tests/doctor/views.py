"""Views of every kind, for the doctor to look at: of Django, of classes, of Django REST framework."""

from django.http import HttpResponse
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.decorators import api_view
from rest_framework.views import APIView

from django_websocket import accept_websocket, require_websocket


@require_websocket
def room(request):
    """Return nothing."""


@require_websocket(allowed_origins=["https://example.com"])
def listed(request):
    """Return nothing."""


class Page(View):
    """A view of a class with a decorated method."""

    @method_decorator(accept_websocket)
    def get(self, request):
        return HttpResponse("page")


class Plain(View):
    """A view of a class without any."""

    def get(self, request):
        return HttpResponse("page")


class Api(APIView):
    """A view of the framework without a decorator."""

    def get(self, request):
        return HttpResponse("page")


@api_view(["GET"])
@require_websocket
def decorated_api(request):
    """Return nothing."""


urlpatterns = [
    path("open/", room),
    path("listed/", listed),
    path("class/", Page.as_view()),
    path("plain/", Plain.as_view()),
    path("api/", include([path("<int:number>/", Api.as_view()), path("decorated/", decorated_api)])),
]
