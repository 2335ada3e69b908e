"""The list of live connections in the admin: who may see it, what it shows, and its filters."""

import html
import re
from datetime import datetime, timedelta, timezone

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.checks import run_checks

from django_websocket import connections
from django_websocket.admin import LiveConnectionAdmin
from django_websocket.groups import snapshot
from django_websocket.groups.listing import AllConnections
from django_websocket.groups.snapshot import Totals
from django_websocket.models import LiveConnection
from django_websocket.process.identity import identity

from ..groups.infos import make_info
from .pages import CLOSE, LIST, Page

pytestmark = [pytest.mark.urls("tests.admin.pages"), pytest.mark.django_db]


def own(number, **more):
    """Return an info of this process."""
    return make_info(id=f"{identity.process_id}/{number}", **{"user_id": None, **more})


@pytest.fixture
def infos(monkeypatch):
    """Return the WebSockets of this process, which nobody has opened."""
    infos = []
    monkeypatch.setattr(snapshot, "connections", lambda: infos)
    return infos


# Who may


def test_it_is_in_the_default_site():
    assert type(admin.site.get_model_admin(LiveConnection)) is LiveConnectionAdmin
    assert [message for message in run_checks() if "django_websocket" in f"{message.id} {message.obj}"] == []


@pytest.mark.parametrize(
    ("permissions", "status"),
    [([], 403), (["delete_liveconnection"], 403), (["view_user"], 403), (["view_liveconnection"], 200)],
)
def test_looking_needs_the_permission_to_view(log_in, permissions, status):
    assert log_in(*permissions).get(LIST).status_code == status


def test_strangers_are_sent_to_the_login(client):
    assert client.get(LIST).status_code == 302


def test_there_is_no_other_page(admin_client):
    for path in ("add/", "1/change/", "1/delete/", "1/history/"):
        assert admin_client.get(LIST + path).status_code == 404


def test_the_index_links_to_it(viewer):
    page = Page(viewer.get("/admin/"))
    assert LIST in page.links
    assert f"{LIST}add/" not in page.links


# What it shows


def test_nothing_is_open(viewer):
    page = Page(viewer.get(LIST))
    assert "No WebSocket is open." in page.source
    assert page.rows == []
    assert "0 live connections." in page.source


def test_a_connection(viewer, enter, ann):
    ws = enter("/member/7/", ann, subprotocols=["chat"])
    ws.send("hi")
    (row,) = Page(viewer.get(LIST)).rows
    assert row["User"] == f"ann key {ann.pk}"
    assert row["Address"] == "/member/7/ member/<name>/"
    assert row["Open since"].startswith("0 s ")
    assert row["Sent"].startswith("1 ")
    assert row["Protocol"] == "RFC 6455 chat"
    assert row["Process"].split()[-1].isdigit()
    assert "Close" not in row


def test_times_and_numbers(viewer, infos):
    now = datetime.now(timezone.utc)
    infos.append(
        own(
            1,
            since=now - timedelta(hours=3, minutes=2),
            messages_received=1234567,
            bytes_received=2048,
            last_received=now - timedelta(seconds=70),
            latency=0.0123,
            version=76,
        )
    )
    page = Page(viewer.get(LIST))
    (row,) = page.rows
    assert row["Open since"].startswith("3 h 2 min ")
    assert row["Received"] == "1,234,567 2.0\xa0KB".replace("\xa0", " ")
    assert row["Last received"] == "1 min 10 s ago latency 12 ms"
    assert row["Protocol"] == "hixie-76"
    assert row["User"] == "anonymous"
    assert re.search(r"As of \w+\.? \d+, \d{4}, \d\d:\d\d:\d\d \w+\.", page.source)


def test_without_time_zones(viewer, infos, settings):
    settings.USE_TZ = False
    infos.append(own(1, since=datetime.now(timezone.utc)))
    assert Page(viewer.get(LIST)).rows[0]["Open since"].startswith("0 s ")


def test_users_cost_one_query(viewer, infos, django_assert_max_num_queries):
    users = [User.objects.create(username=f"user{number}") for number in range(5)]
    viewer.get(LIST)
    infos += [own(number, user_id=str(user.pk)) for number, user in enumerate(users * 3)]
    # Session, viewer, two for the permissions, and the users.
    with django_assert_max_num_queries(5):
        page = Page(viewer.get(LIST))
    assert len(page.rows) == 15


def test_the_page_of_a_user_is_linked_for_those_who_may_see_it(viewer, infos, ann):
    infos.append(own(1, user_id=str(ann.pk)))
    address = f"/admin/auth/user/{ann.pk}/change/"
    assert address not in Page(viewer.get(LIST)).links
    viewer.user.user_permissions.add(Permission.objects.get(codename="view_user"))
    assert address in Page(viewer.get(LIST)).links


@pytest.mark.parametrize("key", ["987654", "no number", "9" * 30])
def test_a_user_that_is_not_there(closer, infos, key):
    infos.append(own(1, user_id=key))
    page = Page(closer.get(LIST))
    assert page.rows[0]["User"].startswith(f"unknown user {key}")
    assert "/admin/auth/user/" not in page.source


EVIL = "<script>alert('x')</script>&\"' onload="


def test_what_comes_from_clients_is_escaped(closer, infos):
    user = User.objects.create(username=EVIL)
    infos.append(own(1, path=f"/{EVIL}/", route=EVIL, subprotocol=EVIL, user_id=str(user.pk), thread=EVIL))
    for address in (LIST, f"{LIST}?q={EVIL}", f"{CLOSE}?connection={infos[0].id}", f"{CLOSE}?all_of={user.pk}"):
        page = Page(closer.get(address))
        assert "<script>alert" not in page.source
        assert html.escape(EVIL)[:20] in page.source
        assert "onload=" not in re.sub(r'"[^"]*"', '""', page.source).replace("&quot;", "").split("<body")[0]
    response = closer.post(f"{CLOSE}?connection={infos[0].id}", follow=True)
    assert "<script>alert" not in response.content.decode()


def test_long_texts_are_cut_off(viewer, infos):
    infos.append(own(1, path="/" + "x" * 10_000, route="y" * 10_000))
    page = Page(viewer.get(LIST))
    assert len(page.rows[0]["Address"]) < 200


def test_it_has_no_script_and_no_style_of_its_own(viewer, infos):
    infos.append(own(1))
    page = Page(viewer.get(LIST))
    assert "<style" not in page.source
    assert "style=" not in page.source.partition('id="content"')[2]
    assert "django_websocket/admin.css" in page.source
    assert "script" not in page.source.partition('id="content-main"')[2].partition("</form>")[0]


# Filters, and the bound


def test_filters(viewer, infos, ann, bob):
    infos += [
        own(1, path="/room/1/", route="room/<n>/", user_id=str(ann.pk)),
        own(2, path="/room/2/", route="room/<n>/", user_id=str(bob.pk)),
        own(3, path="/echo/", route="echo/", user_id=str(ann.pk)),
        own(4, path="/echo/", route=None),
    ]

    def paths(**query):
        return sorted(cell.split()[0] for cell in Page(viewer.get(LIST, query)).column("Address"))

    assert paths() == ["/echo/", "/echo/", "/room/1/", "/room/2/"]
    assert paths(q="ROOM/1") == ["/room/1/"]
    assert paths(q="room/<n>") == ["/room/1/", "/room/2/"]
    assert paths(user="ANN") == paths(user=str(ann.pk)) == ["/echo/", "/room/1/"]
    assert paths(user="ann", q="room") == ["/room/1/"]
    assert paths(user="nobody") == paths(q="nowhere") == []
    assert paths(q=" ", user="\0") == paths()
    page = Page(viewer.get(LIST, {"user": "bob"}))
    assert "1 live connection of 4." in " ".join(page.source.split())
    assert 'value="bob"' in page.source


def test_links_filter(viewer, infos, ann):
    infos.append(own(1, route="room/<int:n>/&x", user_id=str(ann.pk)))
    links = Page(viewer.get(LIST)).links
    for address in ("?q=room%2F%3Cint%3An%3E%2F%26x", f"?user={ann.pk}"):
        assert address in links
        assert len(Page(viewer.get(LIST + address)).rows) == 1


def test_the_newest_are_shown_and_all_are_counted(viewer, infos):
    infos += [own(number, path=f"/{number}/") for number in range(520)]
    page = Page(viewer.get(LIST))
    assert len(page.rows) == 500
    assert page.rows[0]["Address"].startswith("/519/")
    text = " ".join(page.source.split())
    assert "520 live connections, the newest 500 shown." in text
    assert "Messages received: 520 (" in text
    # Those that are not shown are found.
    assert len(Page(viewer.get(LIST, {"q": "/7/"})).rows) == 1


# Other processes


def listed(**changes):
    empty = AllConnections([], Totals(), [snapshot.Snapshot("a" * 12, "here", 7, 0, Totals(), [])], [], [], False)
    return lambda *_, **__: empty._replace(**changes)


def test_without_a_backend_between_processes(viewer):
    source = Page(viewer.get(LIST)).source
    assert "Only the process that has made this page was asked" in source
    assert "WEBSOCKET_GROUPS" in source


def test_processes_that_do_not_answer(viewer, monkeypatch):
    monkeypatch.setattr(
        "django_websocket.admin.model_admin.all_connections",
        listed(silent=[f"{number:012x}" for number in range(30)], problems=["default: <away>"], asks_others=True),
    )
    source = Page(viewer.get(LIST)).source
    assert "30 processes have not answered" in source
    assert f"{19:012x}" in source
    assert f"{20:012x}" not in source
    assert "Other processes could not be asked. default: &lt;away&gt;" in source
    assert "One process has answered." in source


# Sites of a project's own


@pytest.mark.parametrize("site", ["staff", "with-users"])
def test_another_site(admin_client, enter, ann, site):
    """Guards that all links stay in their site, and that users are linked where there is a page for them."""
    enter(user=ann)
    path = LIST.replace("/admin/", f"/{site}/", 1)
    page = Page(admin_client.get(path))
    inside = [link for link in page.links if link.startswith("/") and link != "/"]
    assert all(link.startswith(f"/{site}/") for link in inside), inside
    assert (f"/{site}/auth/user/{ann.pk}/change/" in inside) is (site == "with-users")
    response = admin_client.post(f"{path}close/?connection={connections()[0].id}")
    assert response.headers["Location"] == path


def test_a_subclass(viewer, infos, monkeypatch, rf):
    infos += [own(number) for number in range(5)]

    class Few(LiveConnectionAdmin):
        limit = 2

    few = Few(LiveConnection, admin.site)
    request = rf.get(LIST)
    request.user = viewer.user
    response = few.changelist_view(request, {"title": "Few"})
    assert len(response.context_data["rows"]) == 2
    assert response.context_data["title"] == "Few"
