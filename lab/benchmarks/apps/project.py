"""A Django project of one view, which echoes: ``lab.benchmarks.apps.project:application``."""

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

from django_websocket import require_websocket

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["django_websocket"],
    LOGGING_CONFIG=None,
    MIDDLEWARE=["django_websocket.middleware.WebSocketMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret",
)
django.setup()


@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


urlpatterns = [path("echo", echo)]
application = get_wsgi_application()
