"""The backend on Redis or Valkey. Importing it does not import redis-py; making the backend does."""

from __future__ import annotations

from .backend import RedisBackend

__all__ = ["RedisBackend"]
