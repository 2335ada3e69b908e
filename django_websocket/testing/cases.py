"""A test case whose client speaks WebSocket."""

from __future__ import annotations

from django.test import TestCase

from .client import WebSocketClient


class WebSocketTestCase(TestCase):
    """Django's ``TestCase`` with a :class:`WebSocketClient` as its ``client``, for type checkers too."""

    # TestCase declares the type Client for both. Both may be set, which pyright holds against narrower types; but
    # nothing sets the client except TestCase itself, to an object of client_class.
    client_class: type[WebSocketClient] = WebSocketClient  # pyright: ignore[reportIncompatibleVariableOverride]
    client: WebSocketClient  # pyright: ignore[reportIncompatibleVariableOverride]
