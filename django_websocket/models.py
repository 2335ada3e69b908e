"""The model of the admin's page. It has no table: its rows are the open WebSockets of all processes."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

#: Characters of an id: twelve hexadecimal digits, a slash and a number of up to 20 digits.
_ID_SIZE: Final = 33


class _NoRows(models.Manager["LiveConnection"]):
    """Finds nothing, without asking a database: ``dumpdata`` asks each model for its rows."""

    def get_queryset(self) -> models.QuerySet[LiveConnection]:
        """Return a queryset that is empty."""
        queryset: models.QuerySet[LiveConnection] = super().get_queryset().none()
        return queryset


class LiveConnection(models.Model):
    """An open WebSocket, for the admin: its permissions and its addresses belong to a model."""

    #: The :attr:`.ConnectionInfo.id`.
    id = models.CharField(_("id"), primary_key=True, max_length=_ID_SIZE, editable=False)

    objects = _NoRows()

    #: What the log of the admin says of it; ``""``: the id.
    description = ""

    class Meta:
        """No table, no migration, and no permission that nobody could use."""

        managed = False
        base_manager_name = "objects"
        default_permissions = ("view", "delete")
        verbose_name = _("live connection")
        verbose_name_plural = _("live connections")

    def __str__(self) -> str:
        return self.description or self.id
