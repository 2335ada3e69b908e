"""Settings of Django itself, of which each handshake needs some."""

from __future__ import annotations

from typing import Any

from django.conf import settings


def read_setting(name: str) -> Any:
    """Return ``settings.NAME``, in a third of its time.

    Django's object keeps each value that was read in its own dictionary, until the setting is changed. But a Python
    method of the object stands before that dictionary.
    """
    try:
        return object.__getattribute__(settings, name)
    except AttributeError:
        return getattr(settings, name)
