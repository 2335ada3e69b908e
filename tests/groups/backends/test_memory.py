"""The backend in the memory of one process, beyond the contract of all backends."""

from __future__ import annotations

import logging
import threading

import pytest

from django_websocket import Group
from django_websocket.connection.backlog import Delivery
from django_websocket.groups.backends import get_backend, memory
from django_websocket.groups.backends.base import GroupsStatus
from django_websocket.groups.backends.memory import MemoryBackend
from django_websocket.process.registry import registry
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.signals import member_joined, member_left

from ...connection.line import connect
from ...running import Running
from ..test_members import Fake

room, kept = Group("room"), Group("kept", history=2)


@pytest.fixture
def backend():
    return get_backend("default")


@pytest.fixture
def clock(monkeypatch):
    """The time of the backend, which moves on demand."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    monkeypatch.setattr(memory, "time", Clock())
    return memory.time


def member(group="room", **options):
    fake = Fake(**options)
    fake.group = group
    return fake


def test_it_is_the_default(backend):
    assert type(backend) is MemoryBackend
    assert not backend.crosses_processes
    backend.disconnect("user", "1")
    backend.watch()
    with pytest.raises(ValueError, match="has a LOCATION"):
        MemoryBackend.check_location("redis://localhost")


def test_nothing_is_kept_for_nobody(backend):
    for number in range(10):
        Group(f"room{number}").send("x")
    assert backend._groups == {}


def test_a_history_is_forgotten_after_its_time(backend, clock):
    first = kept.send("x")
    clock.now += 86399
    assert kept.position() == first
    clock.now += 86400
    ws, _ = connect()
    with kept.joined(ws):
        assert kept.position() == first, "until somebody looks, it stays"
    clock.now += 86400
    with kept.joined(ws):
        pass
    assert kept.position().epoch != first.epoch
    ws.end(wait=False)


def test_the_position_of_a_group_without_messages_is_forgotten_sooner(backend, clock, monkeypatch):
    """Its page had the time to open its WebSocket."""
    monkeypatch.setattr(memory, "_SWEEP_EVERY", 1)
    first = room.position()
    clock.now += memory.UNUSED_TTL - 1
    assert room.position() == first
    clock.now += memory.UNUSED_TTL
    Group("other").position()
    assert list(backend._groups) == ["other"]


def test_a_log_handler_may_send_to_a_group(caplog):
    """No lock is held while the log is told that a member cannot get a message."""
    ws, _ = connect(Hixie75)
    entered, others = threading.Event(), []

    class ToGroup(logging.Handler):
        def emit(self, record):
            entered.set()
            others.append(Running(Group("log").send, record.getMessage()))
            others[-1].result()

    handler = ToGroup()
    logging.getLogger("django_websocket.groups").addHandler(handler)
    try:
        room.add(ws)
        room.send(b"bytes")
    finally:
        logging.getLogger("django_websocket.groups").removeHandler(handler)
    assert entered.is_set()
    assert len(caplog.records) == len(others) == 1
    ws.end(wait=False)


def test_groups_are_swept(backend, clock, monkeypatch):
    monkeypatch.setattr(memory, "_SWEEP_EVERY", 10)
    for number in range(9):
        Group(f"kept{number}", history=1).send("x")
    one = member()
    backend.add(one, since=None)
    assert len(backend._groups) == 10
    room.send("x")
    assert len(one.got) == 1, "a group that has no members yet is not swept"
    clock.now += 86401
    for number in range(10):
        Group(f"new{number}", history=1).send("x")
    assert len(backend._groups) == 11, "the members of a group keep it"


def test_the_status(backend):
    assert backend.status() == GroupsStatus(healthy=True, problem="", groups=0, members=0)
    for group, delivery in (("room", Delivery.SENT), ("room", Delivery.OVERFLOW), ("news", Delivery.GONE)):
        backend.add(member(group, delivery=delivery), since=None)
    assert backend.status()[2:4] == (2, 3)
    room.send("x")
    Group("news").send("x")
    assert backend.status() == GroupsStatus(healthy=True, problem="", groups=1, members=1, overflows=1)


def test_a_message_that_is_sent_in_the_midst_of_another(backend):
    """By a signal handler or a finalizer: all members get both in the same order."""
    first, second = member(name="first"), member(name="second")
    received = first.deliver

    def interrupted(item, limits):
        first.deliver = received
        delivery = received(item, limits)
        assert room.send("in between").number == 2
        return delivery

    first.deliver = interrupted
    for one in (first, second):
        backend.add(one, since=None)
    assert room.send("outer").number == 1
    assert [data for data, _ in first.got] == [data for data, _ in second.got] == ["outer", "in between"]


def test_an_error_in_the_midst_of_a_message(backend):
    """As a signal handler may raise it: the next message is sent."""
    one = member()
    backend.add(one, since=None)

    def interrupted(item, limits):
        del one.deliver
        raise KeyboardInterrupt

    one.deliver = interrupted
    with pytest.raises(KeyboardInterrupt):
        room.send("x")
    room.send("y")
    assert [data for data, _ in one.got] == ["y"]


def test_threads_send_in_one_order(backend):
    fakes = [member() for _ in range(3)]
    for fake in fakes:
        backend.add(fake, since=None)
    barrier = threading.Barrier(4)

    def send(name):
        barrier.wait()
        for number in range(50):
            room.send(f"{name} {number}")

    for running in [Running(send, name) for name in "abcd"]:
        running.result()
    first, *others = ([data for data, _ in fake.got] for fake in fakes)
    assert len(first) == 200
    assert all(other == first for other in others)
    for name in "abcd":
        assert [data for data in first if data[0] == name] == [f"{name} {number}" for number in range(50)]


class TestSignals:
    @pytest.fixture
    def heard(self):
        heard = []

        def joined(group, name, **_):
            heard.append(("joined", name, Group(group).count()))

        def left(group, name, **_):
            # A receiver may use the group, also in another thread: no lock is held.
            heard.append(("left", name, Running(Group(group).count).result()))

        def fails(**_):
            raise LookupError

        for receiver in (fails, joined):
            member_joined.connect(receiver)
        for receiver in (fails, left):
            member_left.connect(receiver)
        yield heard
        for receiver in (fails, joined, left):
            member_joined.disconnect(receiver)
            member_left.disconnect(receiver)

    def test_names(self, heard):
        ws, _ = connect()
        other, _ = connect()
        room.add(ws, name="Ann")
        room.add(other, name="Ann")
        room.add(ws, name="Bob")
        room.discard(ws)
        other.end(wait=False)
        ws.end(wait=False)
        assert heard == [("joined", "Ann", 1), ("joined", "Bob", 2), ("left", "Bob", 1), ("left", "Ann", 0)]


class TestOtherProcesses:
    def warnings(self, caplog):
        return [
            record.getMessage()
            for record in caplog.records
            if record.name == "django_websocket.groups" and record.levelno == logging.WARNING
        ]

    def test_a_server_with_several(self, caplog, monkeypatch):
        monkeypatch.setattr(registry, "one_of_many", True)
        room.send("x")
        room.send("y")
        (warning,) = self.warnings(caplog)
        assert warning.startswith("Group 'room': its server has several processes. Without Redis ")

    def test_a_command(self, caplog, monkeypatch):
        monkeypatch.delitem(memory.sys.modules, "django.core.handlers.wsgi")
        room.send("x")
        (warning,) = self.warnings(caplog)
        assert warning.startswith("Group 'room': this process serves no requests. Without Redis ")

    def test_a_server_with_one(self, caplog):
        room.send("x")
        assert self.warnings(caplog) == []
