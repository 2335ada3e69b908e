"""Settings of the example. ``manage.py runserver`` sets up the database by itself.

The environment may set ``DEBUG`` (``0`` turns it off), ``SECRET_KEY``, ``ALLOWED_HOSTS`` (separated by commas),
``DATABASE`` (the path of a SQLite file) and ``REDIS_URL``, as in ``redis://localhost:6379/0``.
"""

import os
import sys
from pathlib import Path

DEBUG = os.environ.get("DEBUG", "1") not in {"", "0", "false", "False", "off", "no"}

if DEBUG:
    SECRET_KEY = os.environ.get("SECRET_KEY", "insecure: this default is for development only")
else:
    SECRET_KEY = os.environ["SECRET_KEY"]

ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

INSTALLED_APPS = [
    "django_websocket",  # before chat and staticfiles, as these have a runserver command too
    "chat",  # before staticfiles, whose runserver it extends
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "example_project",
]

MIDDLEWARE = [
    "django_websocket.middleware.WebSocketMiddleware",  # first
    "django.middleware.security.SecurityMiddleware",
    "example_project.middleware.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", Path(__file__).parent.parent / "db.sqlite3"),
        # Readers and the one writer do not wait for each other, and writers wait for their turn.
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
            "transaction_mode": "IMMEDIATE",
        },
    },
}

# Without Redis, groups reach the WebSockets of their own process: enough for runserver, not for two workers.
# The tests must not reach it: they would send to the rooms of the site that runs, and read their history.
REDIS_URL = os.environ.get("REDIS_URL")
if REDIS_URL and sys.argv[1:2] != ["test"]:
    WEBSOCKET_GROUPS = {
        "default": {"BACKEND": "django_websocket.groups.backends.redis.RedisBackend", "LOCATION": REDIS_URL},
    }

LOGIN_URL = "chat:login"
LOGOUT_REDIRECT_URL = "chat:login"
SESSION_COOKIE_AGE = 12 * 60 * 60  # a name in the chat is free again after this time
SESSION_COOKIE_NAME = "example_session"  # localhost has one cookie jar for every port

STATIC_URL = "static/"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "websocket": {
            "format": "[{asctime}] {levelname} {name}: {message}",
            "datefmt": "%d/%b/%Y %H:%M:%S",  # like the lines of runserver that stand beside it
            "style": "{",
        },
    },
    "handlers": {
        "websocket": {"class": "logging.StreamHandler", "formatter": "websocket"},
    },
    "loggers": {
        "django_websocket": {"handlers": ["websocket"], "level": "INFO", "propagate": False},
    },
}
