"""Limit the memory of django-debug-toolbar, which collects data about a request until the request ends."""

from __future__ import annotations

import sys
from typing import Final

from django.db import connections

#: The panels whose memory grows with the work of a view.
_PANELS: Final = frozenset({"SQLPanel", "CachePanel", "TemplatesPanel"})


def disable_toolbar_panels() -> None:
    """Stop the toolbar of this thread's request, if there is one, from collecting queries, cache calls and templates.

    There is no page on which the toolbar could show them, and over hours they would fill the memory.
    """
    if "debug_toolbar" not in sys.modules:
        return
    for connection in connections.all(initialized_only=True):
        sql_panel = getattr(connection, "_djdt_logger", None)
        if sql_panel is not None:
            for panel in sql_panel.toolbar.enabled_panels:
                # Some panels fail if disabled twice, and the toolbar disables all of them at the end. Those in _PANELS
                # do not.
                if panel.panel_id in _PANELS:
                    panel.disable_instrumentation()
            return
