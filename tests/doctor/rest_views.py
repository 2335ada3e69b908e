"""Views of Django REST framework, for the doctor to look at."""

from django.http import HttpResponse
from django.urls import include, path
from rest_framework.decorators import api_view
from rest_framework.views import APIView

from django_websocket import require_websocket


class Api(APIView):
    """A view without a decorator."""

    def get(self, request):
        return HttpResponse("page")


@api_view(["GET"])
@require_websocket
def decorated_api(request):
    """Return nothing."""


urlpatterns = [path("api/", include([path("<int:number>/", Api.as_view()), path("decorated/", decorated_api)]))]
