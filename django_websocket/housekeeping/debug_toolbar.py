"""Limit what django-debug-toolbar does to a request, which it instruments until the request ends."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, Final

#: The panels whose memory grows with the work of a view.
_PANELS: Final = frozenset({"SQLPanel", "CachePanel", "TemplatesPanel"})


def disable_toolbar_panels() -> None:
    """Stop the toolbar of the running request, if there is one, from profiling and from collecting data.

    There is no page on which the toolbar could show the queries, cache calls and templates, and over hours they would
    fill the memory. From Python 3.12 on there is one profiler for the whole process, and every other page fails while
    the panel of this request uses it.
    """
    for panel in _enabled_panels():
        # Some panels fail if disabled twice, and the toolbar disables all of them at the end. Those in _PANELS do not,
        # and neither does a profiler.
        if panel.panel_id in _PANELS:
            panel.disable_instrumentation()
        elif panel.panel_id == "ProfilingPanel":
            panel.profiler.disable()


def _enabled_panels() -> list[Any]:
    """Return the enabled panels of the running request's toolbar, which only a local variable of its middleware has."""
    module = sys.modules.get("debug_toolbar.middleware")
    if module is not None:
        code = module.DebugToolbarMiddleware.__call__.__code__
        frame: FrameType | None = sys._getframe()  # noqa: SLF001 - there is no public name
        while frame is not None:
            if frame.f_code is code:
                toolbar = frame.f_locals.get("toolbar")
                return [] if toolbar is None else list(toolbar.enabled_panels)
            frame = frame.f_back
    return []
