"""The settings of the project. LIVE_SETTINGS has those that are different for one server, as JSON."""

import json
import os
from importlib import import_module
from pathlib import Path

SECRET_KEY = "not a secret"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "lab.project.urls"
WSGI_APPLICATION = "lab.project.wsgi.application"
STATIC_URL = "static/"
STATICFILES_DIRS = [Path(__file__).parent / "static"]
USE_TZ = True

INSTALLED_APPS = ["django_websocket", "django.contrib.staticfiles"]
MIDDLEWARE = [
    "django_websocket.middleware.WebSocketMiddleware",
    # Most projects have these, and they could change the empty response at the end of a WebSocket.
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "lab.project.logs.Formatter"}},
    "handlers": {"json": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["json"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": ["json"], "level": "INFO", "propagate": False},
    },
}

globals().update(json.loads(os.environ.get("LIVE_SETTINGS", "{}")))
if os.environ.get("LIVE_MIDDLEWARE", "1") == "0":
    MIDDLEWARE = MIDDLEWARE[1:]
if "LIVE_EXTRA_MODULE" in os.environ:
    # A test changes this file, so that the autoreloader restarts the server.
    import_module(os.environ["LIVE_EXTRA_MODULE"])
