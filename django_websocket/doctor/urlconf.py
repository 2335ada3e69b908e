"""The views of the URLconf, and which of them take WebSockets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.contrib.admindocs.views import extract_views_from_urlpatterns, simplify_regex
from django.urls import get_resolver

from ..handshake.marks import read_marks

#: The names of the methods of a class that answer a GET request, as a handshake is one.
_METHODS: Final = ("get", "list", "retrieve", "dispatch")
#: What there is to say of a view of a framework in which none is found.
REMARK: Final = "no decorator of this package is found in it"


class View(NamedTuple):
    """A view, and what is known of it without calling it."""

    #: Its address, with names in place of its arguments.
    route: str
    #: Whether a decorator of this package was found on it, or in it.
    takes_websockets: bool
    #: ``Django REST framework``, ``django-ninja``, or empty.
    framework: str
    #: What there is to say of it, besides.
    remark: str = ""


def find_views() -> list[View]:
    """Return all views of the URLconf, in its order. The URLconf is imported, and may raise anything."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    patterns: Any = extract_views_from_urlpatterns(get_resolver().url_patterns)
    return [_look_at(callback, simplify_regex(regex)) for callback, regex, *_ in patterns]


def is_marked(callback: Any) -> bool:
    """Return whether a decorator of this package, or a mark by hand, is found on a view, or in it."""
    return read_marks(callback).marked or any(read_marks(inner).marked for inner in _inside(callback))


def _look_at(callback: Any, route: str) -> View:
    framework = _framework_of(callback)
    found = is_marked(callback)
    return View(route, found, framework, "" if found or not framework else REMARK)


def _inside(callback: Any) -> Iterator[Any]:
    """Return what may be decorated inside a view: the methods of its class, and what the frameworks keep in a closure.

    ``@api_view`` of Django REST framework keeps the function there, and django-ninja the operations of a path.
    """
    cls = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    for method in (getattr(cls, name, None) for name in _METHODS):
        yield method
        yield from _closed_over(method)
    for value in _closed_over(callback):
        for operation in getattr(value, "operations", ()):
            yield getattr(operation, "view_func", None)


def _closed_over(function: Any) -> list[Any]:
    """Return the values that a function has from the functions around it."""
    cells = getattr(function, "__closure__", None) or ()
    values = (getattr(cell, "cell_contents", None) for cell in cells)
    return [value for value in values if value is not None]


def _framework_of(callback: Any) -> str:
    """Return the name of the framework that has made a view, empty if none has."""
    rest = sys.modules.get("rest_framework.views")
    cls = getattr(callback, "cls", None)
    if rest is not None and isinstance(cls, type) and issubclass(cls, rest.APIView):
        return "Django REST framework"
    module = getattr(callback, "__module__", None) or type(callback).__module__
    return "django-ninja" if module.partition(".")[0] == "ninja" else ""
