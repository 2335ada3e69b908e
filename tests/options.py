"""The options of a view's connections, for tests that make a WebSocket themselves."""

from dataclasses import replace

from django_websocket.conf import conf
from django_websocket.options import Options


def make_options(**changes) -> Options:
    """Return the options that the settings of the tests lead to, but for ``changes``."""
    return replace(conf.options({}), **changes)
