"""The page that lists the open WebSockets of all processes, and closes them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import django
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from ..exceptions import GroupError
from ..groups.listing import AllConnections, all_connections
from ..groups.snapshot import LIMIT
from ..models import LiveConnection
from .closing import AllOfUser, OneConnection, Target
from .rows import make_rows, printable
from .users import Users, find_keys

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[LiveConnection]
else:
    ModelAdmin = admin.ModelAdmin

#: Characters of a filter that are looked at.
_FILTER_SIZE: Final = 200
#: Characters of a path in a message, and in the log of the admin.
_PATH_SIZE: Final = 100


class LiveConnectionAdmin(ModelAdmin):
    """Lists the open WebSockets, the newest first, to those who may view live connections.

    Those who may delete them may close one, or all of a user. A site of a project's own registers it as any
    ``ModelAdmin``.
    """

    change_list_template = "admin/django_websocket/liveconnection/list.html"
    close_confirmation_template = "admin/django_websocket/liveconnection/close_confirmation.html"
    #: Seconds that other processes have to answer.
    timeout = 1.0
    #: WebSockets that are shown at most.
    limit = LIMIT

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - the signature is Django's
        """Return ``False``: clients open WebSockets."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - see above
        """Return ``False``: a WebSocket has nothing that could be changed."""
        return False

    @property
    def media(self) -> forms.Media:
        """The style sheet; the page has no script."""
        return forms.Media(css={"all": ["django_websocket/admin.css"]})

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the list, and of closing."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name=f"{name}_changelist"),
            path("close/", wrap(self.close_view), name=f"{name}_close"),
        ]

    # The list

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the open WebSockets that match the filters of the address.

        :raises PermissionDenied: the viewer may not see them.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        text, user = _filter(request, "q"), _filter(request, "user")
        found = all_connections(self.timeout, text=text, users=find_keys(user) if user else None, limit=self.limit)
        now = datetime.now(timezone.utc)
        users = Users((info.user_id for info in found.connections), self.admin_site, request)
        return self._render(
            request,
            self.change_list_template,
            {
                "title": _("Live connections"),
                "rows": make_rows(found.connections, found.processes, users, now),
                "now": now,
                "found": found,
                "is_cut": found.totals.connections > len(found.connections),
                "number_open": sum(process.open for process in found.processes),
                "q": text,
                "user_filter": user,
                "kept_filters": urlencode(_filters(request)),
                "may_close": self.has_delete_permission(request),
                **(extra_context or {}),
            },
        )

    def _render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
        request.current_app = self.admin_site.name
        opts = self.opts
        context = {
            **self.admin_site.each_context(request),
            "opts": opts,
            # The templates of Django's own list read these.
            "cl": {"opts": opts, "formset": None, "has_filters": False, "date_hierarchy": None},
            # There are no actions; but without this, they would have a style of their own in the page, which a content
            # security policy may forbid.
            "actions_on_top": True,
            "media": self.media,
            "has_breadcrumb_list": django.VERSION >= (6, 1),
            **context,
        }
        return TemplateResponse(request, template, context)

    # Closing

    def close_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether a WebSocket, or all of a user, shall be closed; close them if that was confirmed.

        :raises PermissionDenied: the viewer may not see them, or may not close any.
        :raises BadRequest: the request names neither a WebSocket nor a user, or both.
        """
        if not (self.has_view_permission(request) and self.has_delete_permission(request)):
            raise PermissionDenied
        target = _target(request)
        found = target.find(self.timeout)
        others = [target.value] if isinstance(target, AllOfUser) else []
        users = Users((info.user_id for info in found.connections), self.admin_site, request, others)
        # A process that has not answered may have it.
        if not found.connections and not found.silent and not found.problems:
            self.message_user(request, _("That is not open any more."), messages.INFO)
            return HttpResponseRedirect(self._list_url(request))
        if request.method == "POST":
            self._close(request, target, found, _describe(target, found, users))
            return HttpResponseRedirect(self._list_url(request))
        return self._render(
            request,
            self.close_confirmation_template,
            {
                "title": _("Close all of a user") if isinstance(target, AllOfUser) else _("Close a live connection"),
                "target": target,
                "user_shown": users.show(target.value) if isinstance(target, AllOfUser) else None,
                "rows": make_rows(found.connections, found.processes, users, datetime.now(timezone.utc)),
                "found": found,
                "list_url": self._list_url(request),
            },
        )

    def _close(self, request: HttpRequest, target: Target, found: AllConnections, description: str) -> None:
        # The log is written first, as Django does before it deletes.
        logged = LiveConnection(f"{target.parameter} {target.value}"[:200])
        logged.description = description
        self.log_deletions(request, [logged])  # type: ignore[arg-type] # the stubs want a queryset, which has no rows here
        try:
            target.disconnect()
        except GroupError as error:
            self.message_user(
                request,
                _("%(what)s may still be open in other processes: %(error)s") % {"what": description, "error": error},
                messages.ERROR,
            )
            return
        if target.wait_until_gone(found):
            self.message_user(request, _("Closed: %s") % description, messages.SUCCESS)
        else:
            self.message_user(request, _("Closing: %s. Not all views have ended yet.") % description, messages.WARNING)

    def _list_url(self, request: HttpRequest) -> str:
        """Return the address of the list, with the filters that it had."""
        opts = self.opts
        url = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist", current_app=self.admin_site.name)
        filters = _filters(request)
        return f"{url}?{urlencode(filters)}" if filters else url


def _filter(request: HttpRequest, name: str) -> str:
    """Return a filter of the list. Databases take no NUL."""
    return request.GET.get(name, "").replace("\0", "").strip()[:_FILTER_SIZE]


def _filters(request: HttpRequest) -> dict[str, str]:
    filters = {name: _filter(request, name) for name in ("q", "user")}
    return {name: value for name, value in filters.items() if value}


def _target(request: HttpRequest) -> Target:
    """Return what the request wants to have closed.

    :raises BadRequest: it names nothing, or several things.
    """
    targets = [kind(value) for kind in (OneConnection, AllOfUser) if (value := _filter(request, kind.parameter))]
    if len(targets) != 1:
        raise BadRequest("name either a connection or a user")
    return targets[0]


def _describe(target: Target, found: AllConnections, users: Users) -> str:
    """Return a target in words, for messages and the log of the admin."""
    if isinstance(target, AllOfUser):
        return _("all live connections of %(user)s") % {"user": users.show(target.value).name}
    for info in found.connections:
        address = Truncator(printable(info.path)).chars(_PATH_SIZE)
        if info.user_id is None:
            return _("the live connection %(path)s") % {"path": address}
        user = users.show(info.user_id).name
        return _("the live connection %(path)s of %(user)s") % {"path": address, "user": user}
    return _("the live connection %(id)s") % {"id": target.value}
