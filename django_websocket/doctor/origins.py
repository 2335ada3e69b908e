"""Which origins may connect, and what that says of a proxy.

The log of the server says it at once. From outside, each thing that a proxy loses of the request lets in the origin
that a page would have without it: the one of ``http`` where the scheme is lost, the one without the port where that is
lost.
"""

from __future__ import annotations

from collections.abc import Mapping

from .addresses import Address

#: The origins by what they are without, and whether each may connect.
Accepted = Mapping[str, bool]


def candidates(address: Address) -> dict[str, str | None]:
    """Return the origins to try, by their names; ``None`` is a handshake without an Origin."""
    return {
        "none": None,
        "own": address.origin,
        "http": address.origin_with(secure=False),
        "https": address.origin_with(secure=True),
        "without port": address.origin_with(secure=address.secure, port=False),
        "http without port": address.origin_with(secure=False, port=False),
    }


def judge_origins(accepted: Accepted, address: Address, *, listed: bool) -> str:
    """Return the word of the verdict on a handshake that was refused for its Origin.

    ``accepted`` has the names of :func:`candidates`. ``listed`` says that the project lists the origins that may
    connect, so that its own is none of them unless the list has it.
    """
    if accepted["own"]:
        return "origin-refused"
    if address.secure and accepted["http"]:
        return "scheme-lost"
    if accepted["without port"]:
        return "port-lost"
    if address.secure and accepted["http without port"]:
        # Both are lost. The scheme is named first; the port is found when the scheme is right.
        return "scheme-lost"
    return "origin-refused" if listed or (not address.secure and accepted["https"]) else "host-replaced"


def describe_origins(accepted: Accepted, address: Address) -> str:
    """Return one line on which of the origins may connect."""
    origins = candidates(address)
    shown = {origins[name] or "no Origin": "accepted" if may else "refused" for name, may in accepted.items()}
    return ", ".join(f"{origin} {what}" for origin, what in shown.items())
