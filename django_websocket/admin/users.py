"""The users whose WebSockets are shown: their names, and the addresses of their pages in the admin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import CharField, TextField
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

#: Users that a name finds at most; names differ by more than upper and lower case nearly always.
MAX_FOUND: Final = 20


class ShownUser(NamedTuple):
    """A user as the page shows one."""

    #: The primary key, as text.
    key: str
    name: str
    #: The address of the user's page in the admin; ``None`` if the viewer may not see it.
    url: str | None


class Users:
    """The users of some WebSockets, fetched by one query. One that was deleted meanwhile is shown by the key."""

    def __init__(
        self, keys: Iterable[str | None], site: AdminSite, request: HttpRequest, others: Iterable[str] = ()
    ) -> None:
        """Fetch the users with these primary keys, for a viewer of a site.

        The names of ``others``, who need not have a WebSocket, are for viewers only who may see users.
        """
        self._site = site
        self._model = get_user_model()
        self._meta = self._model._meta  # noqa: SLF001 - it is documented, in spite of its name
        self._may_see = self._can_be_seen(request)
        # The manager of a project may leave out users that are not active, for example.
        shown = [*keys, *others] if self._may_see else keys
        found = self._model._base_manager.in_bulk(list(self._to_python(shown)))  # noqa: SLF001 - see above
        self._names = {str(key): str(user.get_username()) for key, user in found.items()}

    def _can_be_seen(self, request: HttpRequest) -> bool:
        if not self._site.is_registered(self._model):
            return False
        return self._site.get_model_admin(self._model).has_view_or_change_permission(request)

    def _to_python(self, keys: Iterable[str | None]) -> Iterable[Any]:
        for key in set(keys) - {None}:
            try:
                value = self._meta.pk.to_python(key)
                # Databases refuse numbers that are too large for them.
                self._meta.pk.run_validators(value)
            except ValidationError:
                # Another process may have another model of users.
                continue
            yield value

    def show(self, key: str) -> ShownUser:
        """Return the user with a primary key."""
        name = self._names.get(key)
        if name is None:
            return ShownUser(key, _("unknown user %(key)s") % {"key": key}, None)
        return ShownUser(key, name, self._url(key) if self._may_see else None)

    def _url(self, key: str) -> str | None:
        try:
            return reverse(
                f"admin:{self._meta.app_label}_{self._meta.model_name}_change",
                args=(quote(key),),
                current_app=self._site.name,
            )
        except NoReverseMatch:
            # A project's admin of users may have no such page.
            return None


def find_keys(text: str) -> tuple[str, ...]:
    """Return the primary keys, as text, of users that a viewer may mean: one with this key, or with this name."""
    model = get_user_model()
    name = model.USERNAME_FIELD
    field = model._meta.get_field(name)  # noqa: SLF001 - it is documented
    if not isinstance(field, (CharField, TextField)):
        # The names of such users are keys of other rows, or numbers.
        return (text,)
    named = model._base_manager.filter(**{f"{name}__iexact": text})  # noqa: SLF001 - see above
    return (text, *map(str, named.values_list("pk", flat=True)[:MAX_FOUND]))
