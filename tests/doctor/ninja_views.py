"""Views of django-ninja, for the doctor to look at."""

from django.urls import path
from ninja import NinjaAPI

from django_websocket import require_websocket

api = NinjaAPI(urls_namespace="doctor")


@api.get("/room/")
@require_websocket
def room(request):
    """Return nothing."""


@api.get("/room/plain/")
def plain(request):
    """Return nothing."""


urlpatterns = [path("ninja/", api.urls)]
