"""Settings of the example: no database, no migrations, nothing to prepare.

The environment may set ``DEBUG`` (``0`` turns it off), ``SECRET_KEY``, and ``ALLOWED_HOSTS`` (separated by commas).
"""

import os

DEBUG = os.environ.get("DEBUG", "1") not in {"", "0", "false", "False", "off", "no"}

if DEBUG:
    SECRET_KEY = os.environ.get("SECRET_KEY", "insecure: this default is for development only")
else:
    SECRET_KEY = os.environ["SECRET_KEY"]

ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

INSTALLED_APPS = [
    "django_websocket",  # before staticfiles, as both have a runserver command
    "django.contrib.auth",
    "django.contrib.contenttypes",
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
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    },
]

DATABASES = {}
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"  # so that sessions need no database either
SESSION_COOKIE_NAME = "example_session"  # localhost has one cookie jar for every port

STATIC_URL = "static/"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"

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
