"""Caches, between a view that takes WebSockets and plain HTTP requests at the same address."""

from __future__ import annotations

from typing import TypeVar

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers

Response = TypeVar("Response")


def keep_out_of_caches(request: HttpRequest) -> None:
    """Stop Django's cache middleware, and ``cache_page()``, from storing the response to a request.

    The flag is set anew when a ``cache_page()`` farther inside begins.
    """
    request._cache_update_cache = False  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public name


def vary_on_upgrade(response: Response) -> Response:
    """Return the response with ``Upgrade`` in its ``Vary``: a WebSocket at the same address gets another response."""
    if isinstance(response, HttpResponseBase):
        patch_vary_headers(response, ["Upgrade"])
    return response
