"""django-debug-toolbar, which collects what a request does until it ends."""

from __future__ import annotations

import sys
from typing import Final

from django.db import connections

#: Its panels that grow with what a view does.
_PANELS: Final = frozenset({"SQLPanel", "CachePanel", "TemplatesPanel"})


def silence_toolbar() -> None:
    """Have the toolbar of this thread's request, if there is one, collect no more.

    There will be no page to show it on; the view's queries would fill the memory for hours.
    """
    if "debug_toolbar" not in sys.modules:
        return
    for connection in connections.all(initialized_only=True):
        sql_panel = getattr(connection, "_djdt_logger", None)
        if sql_panel is not None:
            for panel in sql_panel.toolbar.enabled_panels:
                # Not all stand being told twice, and they will be told at the end.
                if panel.panel_id in _PANELS:
                    panel.disable_instrumentation()
            return
