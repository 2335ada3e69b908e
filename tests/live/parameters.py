"""The parameters of a live test: the kinds of server it runs on, and whether the middleware is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab.kinds import KINDS, TLS_KINDS, Kind


def param(kind: Kind, middleware: bool, *more: Any, **settings: Any) -> Any:
    """Return the parameters of one run on a kind, with the middleware or (``False``) with the decorators alone."""
    server = [kind.name, *([] if middleware else ["bare"])]
    # The fixture starts a server for each kind, middleware and settings.
    group = pytest.mark.xdist_group("-".join([*server, *sorted(settings)]))
    return pytest.param((kind, middleware, settings), *more, id="-".join([*server, *map(str, more)]), marks=group)


def on(
    choose: Callable[[Kind], bool] = lambda _: True,
    middleware: tuple[bool, ...] = (True,),
    tls: bool = False,
    **settings: Any,
) -> Any:
    """Run a test on the chosen kinds, and with ``tls`` over TLS too; without the middleware on the leading ones."""
    runs = [
        param(kind, with_it, **settings)
        for kind in (*KINDS, *(TLS_KINDS if tls else ()))
        if choose(kind)
        for with_it in middleware
        if with_it or kind.lead
    ]
    return pytest.mark.parametrize("server", runs, indirect=True)
