"""The marks of a view: whether it takes WebSockets, and whose options hold for them.

The decorators of this package mark the function that they return, and a project may mark a view itself. The marks are
attributes, which ``functools.wraps`` and ``as_view()`` copy. ``method_decorator`` even copies those of an inherited
method over those of its own decorator. Copied marks therefore show that a decorator of this package is inside the view,
but not that the copied options are those of that decorator.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

#: The attributes that mark a view.
MARKS: Final = ("accept_websocket", "require_websocket")
#: The attribute that holds a marked view's options.
OPTIONS: Final = "websocket_options"

#: The number of callables, each around the next, in which a wrapper of this package is looked for.
_MAX_LAYERS: Final = 50


class WrapperOptions(dict[str, Any]):
    """The options of a decorated view, with a reference to the wrapper that they belong to."""

    __slots__ = ("complete", "wrapper")

    def __init__(self, options: Mapping[str, Any], wrapper: Callable[..., Any], *, complete: bool = True) -> None:
        super().__init__(options)
        #: Whether no further options can come from a wrapper inside, which is known only when it runs.
        self.complete: Final = complete
        #: The wrapper, as a weak reference: the wrapper holds its options, and ``method_decorator`` makes both for each
        #: request, so that a cycle would be left to the garbage collector each time.
        self.wrapper: Final = weakref.ref(wrapper)


class Marks(NamedTuple):
    """The marks of a view, as far as they are known before the view is called."""

    #: Whether the view takes WebSockets.
    marked: bool = False
    #: Whether the view takes no plain HTTP requests. If it is ``False``, a wrapper inside may still refuse them.
    required: bool = False
    #: Whether a wrapper of this package is inside the view, or is the view.
    decorated: bool = False
    #: The options for its WebSockets; ``None`` if the view is not marked, or if only a wrapper that runs knows them.
    options: Mapping[str, Any] | None = None


def read_marks(view: Any) -> Marks:
    """Return the marks of a view, which may be a ``partial``, or wrapped by other decorators."""
    by_hand: Marks | None = None
    decorated = False
    layer = view
    for _ in range(_MAX_LAYERS):
        options = getattr(layer, OPTIONS, {})
        if isinstance(options, WrapperOptions):
            if options.wrapper() is layer:
                required = getattr(layer, "require_websocket", False)
                return Marks(True, required, True, options if options.complete else None)
            decorated = True
        elif by_hand is None and any(getattr(layer, mark, False) for mark in MARKS):
            by_hand = Marks(True, getattr(layer, "require_websocket", False), False, options)
        layer = layer.func if isinstance(layer, partial) else getattr(layer, "__wrapped__", None)
        if layer is None:
            break
    if decorated:
        return Marks(True, by_hand is not None and by_hand.required, True)
    return by_hand or Marks()
