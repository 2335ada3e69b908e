"""The views of the tests of the admin, and how its pages are read."""

from html.parser import HTMLParser

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.urls import path

from django_websocket import require_websocket
from django_websocket.admin import LiveConnectionAdmin
from django_websocket.models import LiveConnection

LIST = "/admin/django_websocket/liveconnection/"
CLOSE = f"{LIST}close/"


@require_websocket(subprotocols=["chat"])
def member(request, name):
    request.websocket.send(f"hello {request.user}")
    list(request.websocket)


staff = admin.AdminSite("staff")
staff.register(LiveConnection, LiveConnectionAdmin)
with_users = admin.AdminSite("with_users")
with_users.register(LiveConnection, LiveConnectionAdmin)
with_users.register(User, UserAdmin)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("staff/", staff.urls),
    path("with-users/", with_users.urls),
    path("member/<name>/", member),
]


class Page(HTMLParser):
    """A page of the admin: the cells of its list, its links, and what its messages say."""

    def __init__(self, response):
        super().__init__()
        assert response.status_code == 200, response.content.decode()
        self.source = response.content.decode()
        self.rows = []
        self.links = {}
        self.tags = []
        self._stack = []
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        if tag == "tr" and "tbody" in self._stack and "live-connections" in self._tables:
            self.rows.append({})
        if tag == "table":
            self._tables = attributes.get("class") or ""
        if tag in {"th", "td"} and "data-label" in attributes:
            self._label = attributes["data-label"]
            self.rows[-1][self._label] = ""
        if tag == "a":
            self._link = attributes.get("href")
            self.links.setdefault(self._link, attributes.get("aria-label"))
        self._stack.append(tag)

    def handle_endtag(self, tag):
        if tag in {"th", "td"}:
            self._label = None
        while self._stack and self._stack.pop() != tag:
            pass

    _tables = ""
    _label = None

    def handle_data(self, data):
        if self._label is not None:
            self.rows[-1][self._label] = " ".join(f"{self.rows[-1][self._label]} {data}".split())

    def column(self, label):
        return [row[label] for row in self.rows]
