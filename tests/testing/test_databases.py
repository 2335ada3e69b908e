"""Threads and the database: they share the connection and the transaction of the test."""

import queue
import threading
from contextlib import ExitStack, contextmanager

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, close_old_connections, connection, connections, transaction
from django.test import TestCase, override_settings

from django_websocket.testing import WebSocketClient, databases
from django_websocket.testing.databases import shared_databases

from . import views

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*views.urlpatterns]
route = views.make_route(urlpatterns)


class Room:
    """A chat room, whose one thread stores the messages and sends them to all members, for as long as it gets some."""

    def __init__(self):
        self.messages = queue.Queue()
        self.members = set()
        self.thread = None

    def enter(self, websocket):
        self.members.add(websocket)
        if self.thread is None:
            self.thread = threading.Thread(target=self.run)
            self.thread.start()

    def run(self):
        while (name := self.messages.get()) is not None:
            with transaction.atomic():
                group, _ = Group.objects.get_or_create(name=name)
                Group.objects.filter(pk=group.pk).update(name=name.upper())
            group.refresh_from_db()
            count = Group.objects.count()
            for member in self.members.copy():
                member.send(f"{group.name} {count}")
            close_old_connections()
            connections.close_all()

    def end(self):
        self.messages.put(None)
        if self.thread is not None:
            self.thread.join()
        self.thread = None


room = Room()


@pytest.fixture(scope="module", autouse=True)
def _end_of_the_room():
    yield
    room.end()


@route("room/")
def enter(request):
    websocket = request.websocket
    websocket.accept()
    room.enter(websocket)
    try:
        for message in websocket:
            Group.objects.get_or_create(name=f"of a view: {message}")
            room.messages.put(message)
    finally:
        room.members.discard(websocket)


@route("joining/")
def joining(request):
    """Count the groups in a thread, and wait for it."""
    counts = []

    def work():
        with transaction.atomic():
            Group.objects.create(name=f"of a thread {Group.objects.count()}")
        counts.append(Group.objects.count())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    request.websocket.send(*counts)


@override_settings(ROOT_URLCONF=__name__)
class TestRoom(TestCase):
    """The room and its thread live longer than a test."""

    client_class = WebSocketClient

    def check(self):
        Group.objects.create(name="of the test")
        with self.client.websocket("/room/") as ann, self.client.websocket("/room/", version=76) as bob:
            ann.send("hello")
            assert [ann.wait(), bob.wait(timeout=5)] == ["HELLO 3", "HELLO 3"]
            assert Group.objects.filter(name="HELLO").exists()
            for number in range(30):
                bob.send(f"m{number}")
                # The thread of the room does the same at the same time.
                with transaction.atomic():
                    Group.objects.get_or_create(name=f"of the test {number}")
            for number in range(30):
                assert ann.wait(timeout=5).startswith(f"M{number} ")
                assert bob.wait().startswith(f"M{number} ")
            assert Group.objects.count() == 3 + 3 * 30
            room.messages.put("at the end")
        assert Group.objects.filter(name="AT THE END").exists()

    def test_one(self):
        self.check()

    def test_another(self):
        """Nothing of one test is left for the other, in whichever order they run."""
        self.check()

    def test_a_view_that_joins_its_thread(self):
        Group.objects.create(name="of the test")
        with self.client.websocket("/joining/") as websocket:
            assert websocket.wait() == "2"
        with transaction.atomic(), self.client.websocket("/joining/") as websocket:
            assert websocket.wait() == "3"

    def test_nothing_is_left(self):
        before = [connections._connections, transaction.Atomic.__enter__, transaction.Atomic.__exit__]
        wrappers = list(connection.execute_wrappers)
        with self.client.websocket("/room/"):
            assert connections._connections is not before[0]
            assert shared_databases.sessions == 1
        assert [connections._connections, transaction.Atomic.__enter__, transaction.Atomic.__exit__] == before
        assert connection.execute_wrappers == wrappers
        assert "validate_thread_sharing" not in vars(connection)
        assert shared_databases.sessions == 0

    @contextmanager
    def held(self):
        """Run the body while another thread is inside ``atomic()``, for which nobody waits long."""
        begun, done = threading.Event(), threading.Event()

        def hold():
            with shared_databases.lock:
                begun.set()
                done.wait(60)

        thread = threading.Thread(target=hold)
        thread.start()
        begun.wait(60)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(databases, "LOCK_TIMEOUT", 0.01)
                with self.assertRaisesMessage(OperationalError, "another thread has been inside atomic() for 0.01 sec"):
                    yield
        finally:
            done.set()
            thread.join()

    def test_a_block_that_is_held_has_a_limit(self):
        with self.client.websocket("/echo/"):
            with self.held():
                Group.objects.count()
            assert Group.objects.count() == 0

    def test_a_block_that_outlives_the_session(self):
        session = self.client.websocket("/rejecting/")
        session.__enter__()
        with self.held():
            session.__exit__(None, None, None)
        assert shared_databases.sessions == 0
        assert Group.objects.count() == 0

    def test_a_block_that_began_before_the_session(self):
        with ExitStack() as stack:
            with transaction.atomic():
                Group.objects.create(name="one")
                stack.enter_context(self.client.websocket("/echo/"))
            assert Group.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_in_memory_without_a_transaction(client):
    """Another connection would find the tables locked."""
    with client.websocket("/room/") as websocket:
        websocket.send("hello")
        assert websocket.wait() == "HELLO 2"
    assert Group.objects.count() == 2


def test_without_a_database(client):
    with client.websocket("/echo/") as websocket:
        websocket.send("hello")
        assert websocket.wait() == "hello"
