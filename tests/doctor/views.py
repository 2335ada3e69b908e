"""Views for the doctor to look at: functions and classes."""

from django.http import HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

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


urlpatterns = [
    path("open/", room),
    path("listed/", listed),
    path("class/", Page.as_view()),
    path("plain/", Plain.as_view()),
]
