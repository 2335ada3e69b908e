"""The warning that the application is missing in ``INSTALLED_APPS``, where its system checks do not run."""

from __future__ import annotations

import logging
from functools import cache

from django.apps import apps

logger = logging.getLogger("django_websocket")


def warn_unless_installed() -> None:
    """Log, once in a process, that ``"django_websocket"`` is not in ``INSTALLED_APPS``.

    Nothing is logged before Django has loaded the applications. The decorators call this function, so that ``manage.py
    check``, which imports the views, shows the warning too.
    """
    if apps.apps_ready:
        _warn_unless_installed()


@cache
def _warn_unless_installed() -> None:
    if not apps.is_installed("django_websocket"):
        logger.warning(
            "'django_websocket' is not in INSTALLED_APPS: 'manage.py check' does not look at its settings, and "
            "'manage.py runserver' neither knows --multithreaded nor closes WebSockets when it ends; put it before "
            "every app that has a runserver of its own"
        )
