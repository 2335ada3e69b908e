"""The values of labels. There are only so many of each, whatever a client sends.

Prometheus keeps a time series for each combination of values that it has ever seen.
"""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest

#: The route of a request for which Django has found no view, or which was refused before.
UNKNOWN: Final = "unknown"
#: The route of a view at the root of the site. Prometheus does not tell an empty value from a missing label.
ROOT: Final = "/"
#: A close code that no version of the protocol allows on the wire.
OTHER: Final = "other"


def route_label(request: HttpRequest) -> str:
    """Return the pattern by which Django has found the view of a request, as in the URLconf; never its path."""
    match = request.resolver_match
    route: str | None = None if match is None else match.route
    return UNKNOWN if route is None else route or ROOT


def code_label(code: int, closed_by: str) -> str:
    """Return a close code, or its class if a client has chosen it.

    A client may send any of 3000 to 4999, which are 2000 values. The codes below are those of RFC 6455 and its
    registry. What this side sends is chosen by the project.
    """
    if closed_by == "server" or 1000 <= code <= 1015:
        return str(int(code))
    return f"{code // 1000}xxx" if 3000 <= code <= 4999 else OTHER
