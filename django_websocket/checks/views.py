"""Checks of the views in the URLconf."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004
from django.urls import get_resolver

from ..handshake.marks import read_marks

_APP: Final = "django_websocket"


@register(Tags.urls)
def check_rest_framework(**_kwargs: Any) -> list[CheckMessage]:
    """Check that no view of Django REST framework is decorated from outside, where its ``None`` is an error."""
    # The URLconf imports the views, and so the framework, if the project uses it.
    patterns = list(_patterns(get_resolver())) if getattr(settings, "ROOT_URLCONF", None) else []
    framework = sys.modules.get("rest_framework.views")
    if framework is None:
        return []
    # Until its module is loaded, no class inherits from the mixin, which deals with None.
    ours = sys.modules.get("django_websocket.views")
    return [
        Warning(
            f"The view of {str(pattern.pattern)!r} is one of Django REST framework, and is decorated from outside.",
            hint="The framework allows no view to return None: each WebSocket would end with an AssertionError and "
            "Close 1011. Put the decorator inside: below @api_view, or as a method_decorator of the method 'get'. Or "
            "make the class a WebSocketMixin with a method 'websocket', and drop the decorator. "
            "Where it has to stay outside, return a Response at the end of the WebSocket, and silence this check.",
            obj=pattern.callback,
            id=f"{_APP}.W104",
        )
        for pattern in patterns
        if _is_subclass(getattr(pattern.callback, "cls", None), framework.APIView)
        and not (ours is not None and issubclass(pattern.callback.cls, ours.WebSocketMixin))
        and read_marks(pattern.callback).decorated
    ]


def _patterns(resolver: Any) -> Iterator[Any]:
    """Return an iterator over the patterns of a resolver that have a view, those of its includes too."""
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            yield from _patterns(pattern)
        else:
            yield pattern


def _is_subclass(found: Any, base: type) -> bool:
    return isinstance(found, type) and issubclass(found, base)
