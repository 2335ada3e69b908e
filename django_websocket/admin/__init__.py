"""The admin's page of live connections. Django imports it where ``django.contrib.admin`` is installed."""

from __future__ import annotations

from django.contrib import admin

from ..models import LiveConnection
from .model_admin import LiveConnectionAdmin

__all__ = ["LiveConnectionAdmin"]

admin.site.register(LiveConnection, LiveConnectionAdmin)
