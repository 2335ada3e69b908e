"""RFC 6455 and its drafts of versions 8 and 7: opening handshake, frames, messages and their compression."""

from __future__ import annotations

from .protocol import RFC6455

__all__ = ["RFC6455"]
