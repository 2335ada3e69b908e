"""Closing live connections in the admin: who may, what is asked before, what happens, and what is logged."""

import re
import time
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import User
from django.test import Client

from django_websocket import GroupUnavailable, connections
from django_websocket.admin import closing
from django_websocket.models import LiveConnection
from django_websocket.process.identity import identity

from .pages import CLOSE, LIST, Page

pytestmark = [pytest.mark.urls("tests.admin.pages"), pytest.mark.django_db]


@pytest.fixture(autouse=True)
def sleep(monkeypatch):
    """Let closing wait until the views have ended, which run only while the client waits for something."""
    sessions = []

    def end(_):
        for session in sessions:
            session.wait()

    monkeypatch.setattr(closing, "time", SimpleNamespace(monotonic=time.monotonic, sleep=end))
    return sessions


@pytest.fixture
def ws(enter, ann, sleep):
    ws = enter(user=ann)
    sleep.append(ws)
    return ws


def one():
    """Return the address at which the only WebSocket is closed."""
    (info,) = connections()
    return f"{CLOSE}?connection={info.id}"


def all_of(user):
    return f"{CLOSE}?all_of={user.pk}"


def messages(response):
    return [str(message) for message in response.context["messages"]]


# Who may


@pytest.mark.parametrize("permissions", [[], ["view_liveconnection"], ["delete_liveconnection"]])
@pytest.mark.parametrize("method", ["get", "post"])
def test_closing_needs_both_permissions(log_in, ws, permissions, method):
    client = log_in(*permissions)
    assert getattr(client, method)(one()).status_code == 403
    assert not LogEntry.objects.exists()
    ws.expect_nothing()


def test_who_may_not_close_sees_no_links(viewer, closer, ws, ann):
    for client, expected in [(viewer, set()), (closer, {one(), all_of(ann)})]:
        links = {link.replace("%2F", "/") for link in Page(client.get(LIST)).links if "/close/" in link}
        assert links == expected


def test_closing_needs_the_token(closer, ws):
    client = Client(enforce_csrf_checks=True)
    client.cookies = closer.cookies
    assert client.post(one()).status_code == 403
    ws.expect_nothing()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', Page(client.get(one())).source)[1]
    assert client.post(one(), {"csrfmiddlewaretoken": token}).status_code == 302


# What is asked


def test_looking_at_the_question_closes_nothing(closer, ws):
    page = Page(closer.get(one()))
    assert "Are you sure you want to close this live connection?" in page.source
    assert "/member/7/" in page.source
    assert "1008" in page.source
    ws.expect_nothing()
    assert not LogEntry.objects.exists()


def test_the_question_for_all_of_a_user(closer, ws, enter, ann, bob):
    enter(user=ann, path="/member/8/")
    enter(user=bob, path="/member/9/")
    source = " ".join(Page(closer.get(all_of(ann))).source.split())
    assert "close all live connections of ann?" in source
    assert "2 live connections" in source
    assert "/member/8/" in source
    assert "/member/9/" not in source


@pytest.mark.parametrize("query", ["", "?connection=", "?connection=a/1&all_of=1", "?connection=%00"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_request_that_names_nothing_or_two_things(closer, query, method):
    assert getattr(closer, method)(CLOSE + query).status_code == 400


def test_the_filters_are_kept(closer, ws, ann):
    query = "q=member&user=ann"
    (address,) = [link for link in Page(closer.get(f"{LIST}?{query}")).links if "connection=" in link]
    assert address.endswith(f"&{query}")
    assert f"{LIST}?{query}" in Page(closer.get(address)).links
    assert closer.post(address).headers["Location"] == f"{LIST}?{query}"


# What happens


def test_a_path_that_databases_refuse(closer, enter, sleep):
    """PostgreSQL takes no NUL, which a client can put into a path."""
    ws = enter(path="/member/a%00b/")
    sleep.append(ws)
    response = closer.post(one(), follow=True)
    assert messages(response) == ["Closed: the live connection /member/a\ufffdb/"]
    assert ws.close_code == 1008
    assert "\0" not in LogEntry.objects.get().object_repr


def test_one_is_closed_and_the_others_are_not(closer, ws, enter, ann):
    address = one()
    other = enter(user=ann, path="/member/8/")
    response = closer.post(address, follow=True)
    assert response.redirect_chain == [(LIST, 302)]
    assert messages(response) == ["Closed: the live connection /member/7/ of ann"]
    assert Page(response).column("Address") == ["/member/8/ member/<name>/"]
    assert (ws.close_code, ws.close_reason) == (1008, "closed by an administrator")
    other.expect_nothing()


def test_all_of_a_user_are_closed_and_the_others_are_not(closer, ws, enter, ann, sleep):
    sleep.append(enter(user=ann, path="/member/8/"))
    others = [enter(user=User.objects.create(username="eve")), enter()]
    response = closer.post(all_of(ann), follow=True)
    assert messages(response) == ["Closed: all live connections of ann"]
    assert {(one.close_code, one.close_reason) for one in sleep} == {(4401, "logged out")}
    assert len(Page(response).rows) == 2
    for other in others:
        other.expect_nothing()


def test_one_of_nobody(closer, enter, sleep):
    sleep.append(enter())
    assert messages(closer.post(one(), follow=True)) == ["Closed: the live connection /member/7/"]


def test_one_of_a_user_that_was_deleted_meanwhile(closer, ws, ann):
    key = ann.pk
    User.objects.all().filter(pk=key).delete()
    response = closer.post(f"{CLOSE}?all_of={key}", follow=True)
    assert messages(response) == [f"Closed: all live connections of unknown user {key}"]
    assert ws.close_code == 4401


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("query", [f"?connection={'a' * 12}/1", "?all_of=987654", "?all_of=<b>"])
def test_one_that_is_not_open_any_more(closer, method, query):
    response = getattr(closer, method)(CLOSE + query, follow=True)
    assert response.redirect_chain == [(LIST, 302)]
    assert messages(response) == ["That is not open any more."]
    assert not LogEntry.objects.exists()


def test_a_view_that_does_not_end_in_time(closer, ws, monkeypatch):
    monkeypatch.setattr(closing, "PATIENCE", 0)
    response = closer.post(one(), follow=True)
    assert messages(response) == ["Closing: the live connection /member/7/ of ann. Not all views have ended yet."]
    assert list(ws) == []
    assert ws.close_code == 1008


# The log


def test_one_is_logged(closer, ws, ann):
    address = one()
    closer.post(address)
    entry = LogEntry.objects.get()
    assert (entry.user, entry.action_flag) == (closer.user, DELETION)
    assert entry.content_type.model_class() is LiveConnection
    assert entry.object_repr == "the live connection /member/7/ of ann"
    assert entry.object_id == f"connection {address.partition('=')[2]}"
    assert entry.object_id.startswith(f"connection {identity.process_id}/")


def test_all_of_a_user_are_one_entry(closer, ws, ann):
    closer.post(all_of(ann))
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.object_repr) == (f"all_of {ann.pk}", "all live connections of ann")
    assert "all live connections of ann" in Page(closer.get("/admin/")).source


def test_a_long_path_is_cut_off_in_the_log(closer, enter, sleep):
    sleep.append(enter(f"/member/{'x' * 1000}/"))
    closer.post(one())
    assert len(LogEntry.objects.get().object_repr) < 150


# Other processes


def test_a_backend_that_is_away(closer, ws, monkeypatch):
    def fail(_):
        raise GroupUnavailable("it is away")

    monkeypatch.setattr(closing, "disconnect_connection", fail)
    response = closer.post(one(), follow=True)
    assert messages(response) == [
        "the live connection /member/7/ of ann may still be open in other processes: it is away"
    ]
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("changes", [{"silent": ["b" * 12]}, {"problems": ["default: it is away"]}])
def test_one_that_a_silent_process_may_have(closer, ws, changes, monkeypatch):
    found = closing.all_connections(id="nowhere")._replace(**changes)
    closed = []
    monkeypatch.setattr(closing, "all_connections", lambda *_, **__: found)
    monkeypatch.setattr(closing, "disconnect_connection", closed.append)
    address = f"{CLOSE}?connection={'b' * 12}/7"
    assert "Not all processes have answered" in Page(closer.get(address)).source
    response = closer.post(address, follow=True)
    assert messages(response) == [f"Closed: the live connection {'b' * 12}/7"]
    assert closed == [f"{'b' * 12}/7"]


def test_names_of_users_who_are_not_connected_are_for_those_who_may_see_users(closer, log_in, bob, monkeypatch):
    """Guards against a walk through the keys while a process does not answer."""
    found = closing.all_connections(id="nowhere")._replace(silent=["b" * 12])
    monkeypatch.setattr(closing, "all_connections", lambda *_, **__: found)
    assert "bob" not in Page(closer.get(all_of(bob))).source
    may_see = log_in("view_liveconnection", "delete_liveconnection", "view_user", name="may see")
    assert "bob" in Page(may_see.get(all_of(bob).replace("/admin/", "/with-users/"))).source


def test_a_closing_is_logged_as_a_project_logs_deletions(closer, ws, monkeypatch):
    """Guards the hook that Django documents for it."""
    logged = []
    site_admin = admin.site.get_model_admin(LiveConnection)
    monkeypatch.setattr(site_admin, "log_deletions", lambda request, objects: logged.extend(map(str, objects)))
    closer.post(one())
    assert logged == ["the live connection /member/7/ of ann"]
