"""The WebSockets of all processes: what backends find is put together, and what they cannot find is said."""

import pytest
from django.urls import path

from django_websocket import GroupUnavailable, all_connections, require_websocket
from django_websocket.groups import snapshot
from django_websocket.groups.backends import get_backend
from django_websocket.groups.backends.memory import MemoryBackend
from django_websocket.groups.snapshot import Search, Snapshot, Totals
from django_websocket.process.identity import identity
from django_websocket.testing import WebSocketClient

from .infos import make_info

PATH = f"{__name__}.Asked"
GONE = GroupUnavailable("it is away")


class Asked(MemoryBackend):
    """A backend that answers for other processes."""

    crosses_processes = True
    #: What was asked for, by the aliases.
    questions = {}
    #: What is raised by the question, or returned or raised for the answers, by the aliases.
    away = {}
    answers = {}

    def call_roll(self, search, limit):
        self.questions[self.alias] = search, limit
        if self.alias in self.away:
            raise self.away[self.alias]
        return self

    def collect(self, deadline):
        found = self.answers.get(self.alias, ([], []))
        if isinstance(found, Exception):
            raise found
        return found


class Alone(MemoryBackend):
    """A backend of a project's own that stays within its process."""


@pytest.fixture(autouse=True)
def infos(settings, monkeypatch):
    """Return what is open in this process."""
    for values in (Asked.questions, Asked.away, Asked.answers):
        values.clear()
    settings.WEBSOCKET_GROUPS = {alias: {"BACKEND": PATH} for alias in ("default", "other")}
    infos = [make_info(id=f"{identity.process_id}/{number}") for number in range(3)]
    monkeypatch.setattr(snapshot, "connections", lambda: infos)
    return infos


def answer(process, *infos):
    return Snapshot(process, "elsewhere", 1, len(infos), Totals.of(infos), list(infos))


def test_those_of_this_process(settings, infos):
    settings.WEBSOCKET_GROUPS = {"default": {"BACKEND": f"{__name__}.Alone"}}
    found = all_connections()
    assert found.connections == infos[::-1]
    assert [one.process for one in found.processes] == [identity.process_id]
    assert (found.totals.connections, found.silent, found.problems, found.asks_others) == (3, [], [], False)


@pytest.mark.urls(__name__)
def test_a_real_one(monkeypatch):
    monkeypatch.undo()
    with WebSocketClient().websocket("/echo/") as ws:
        ws.send("hello")
        ws.wait()
        (info,) = all_connections(text="echo").connections
        assert (info.path, info.route, info.messages_received) == ("/echo/", "echo/", 1)
        assert all_connections(id=info.id).totals.bytes_sent == 5
        assert all_connections(users=["1"]).connections == []


def test_a_backend_within_one_process_is_not_loaded(settings, monkeypatch):
    del settings.WEBSOCKET_GROUPS
    monkeypatch.setattr("django_websocket.groups.listing.get_backend", lambda _: pytest.fail("it is loaded"))
    assert not all_connections().asks_others


def test_those_of_others_and_the_newest_of_all(infos):
    theirs = [make_info(), make_info()]
    Asked.answers["default"] = [answer("b" * 12, *theirs)], ["c" * 12]
    Asked.answers["other"] = [answer("a" * 12)], []
    found = all_connections(limit=3)
    assert found.connections == [theirs[1], theirs[0], infos[2]]
    assert found.totals.connections == 5
    assert [one.process for one in found.processes] == [identity.process_id, "a" * 12, "b" * 12]
    assert found.silent == ["c" * 12]
    assert found.asks_others


def test_each_backend_is_asked_for_what_is_looked_for():
    all_connections(text="room", users=iter(["1", "2"]), id="a/1", limit=7)
    expected = Search("room", ("1", "2"), "a/1"), 7
    assert Asked.questions == {"default": expected, "other": expected}


def test_a_process_that_answers_twice_counts_once(infos):
    """Guards processes that share two backends, this one among them."""
    other = answer("b" * 12, make_info())
    Asked.answers["default"] = [other, answer(identity.process_id, *infos)], []
    Asked.answers["other"] = [other], ["b" * 12]
    found = all_connections()
    assert found.totals.connections == 4
    assert found.silent == ["b" * 12][1:]


def test_a_backend_that_is_away_is_told_and_the_others_are_asked(infos):
    Asked.away["default"] = GONE
    Asked.answers["other"] = [answer("b" * 12, make_info())], []
    found = all_connections()
    assert found.problems == ["default: it is away"]
    assert found.totals.connections == 4


def test_a_backend_that_goes_away_meanwhile(infos):
    Asked.answers["other"] = GONE
    found = all_connections()
    assert found.problems == ["other: it is away"]
    assert found.connections == infos[::-1]


def test_a_backend_that_cannot_be_made(settings):
    settings.WEBSOCKET_GROUPS = {"default": {"BACKEND": "nowhere.Backend"}}
    found = all_connections()
    assert found.asks_others
    (problem,) = found.problems
    assert "cannot be imported" in problem


def test_a_backend_asks_nobody_by_default(settings):
    settings.WEBSOCKET_GROUPS = {"default": {"BACKEND": f"{__name__}.Alone"}}
    assert get_backend("default").call_roll(Search(), 1) is None


@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


urlpatterns = [path("echo/", echo)]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"limit": -1}, ValueError, "limit is a number of WebSockets"),
        ({"limit": True}, TypeError, "limit is a number of WebSockets"),
        ({"limit": "5"}, TypeError, "limit is a number of WebSockets"),
        ({"text": None}, TypeError, "text and id are str"),
        ({"id": 5}, TypeError, "text and id are str"),
        ({"users": "12"}, TypeError, "several primary keys, not one"),
        ({"users": range(101)}, ValueError, "at most 100 users"),
        ({"users": ["x" * 501]}, ValueError, "more than 500 characters"),
        ({"text": "x" * 501}, ValueError, "more than 500 characters"),
        ({"id": "x" * 501}, ValueError, "more than 500 characters"),
    ],
)
def test_arguments_that_other_processes_would_not_understand(arguments, error, text):
    with pytest.raises(error, match=text):
        all_connections(**arguments)


def test_keys_of_users_may_be_of_any_type(monkeypatch):
    infos = [make_info(user_id="7"), make_info(user_id="8")]
    monkeypatch.setattr(snapshot, "connections", lambda: infos)
    assert [info.user_id for info in all_connections(users=[7]).connections] == ["7"]
    assert all_connections(users=(), limit=0).connections == []
