"""The database, whose connection and transactions a view shares with the test."""

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.test import SimpleTestCase, TestCase, override_settings

from django_websocket.testing.client import WebSocketClient

from . import views
from .views import ViewError, seen

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*views.urlpatterns]
route = views.make_route(urlpatterns)


@route("groups/")
def groups(request):
    """Create a group for each message, and send how many there are."""
    for name in request.websocket:
        Group.objects.create(name=name)
        request.websocket.send(Group.objects.count())


@route("atomic/")
def atomic(request):
    """Create groups in a transaction, and roll it back."""
    try:
        with transaction.atomic():
            for name in request.websocket:
                Group.objects.create(name=name)
                request.websocket.send(Group.objects.count())
            raise ViewError
    except ViewError:
        seen.append(Group.objects.count())


@route("on-commit/")
def on_commit(request):
    for message in request.websocket:
        transaction.on_commit(lambda message=message: seen.append(message))
        request.websocket.send(message)


@override_settings(ROOT_URLCONF=__name__)
class TestDatabase(TestCase):
    """Most projects test like this, in a transaction that is rolled back after each test."""

    client_class = WebSocketClient

    @classmethod
    def setUpTestData(cls):
        cls.user = User.objects.create_user("ann")
        Group.objects.create(name="of the class")

    def setUp(self):
        Group.objects.create(name="of the test")

    def check(self):
        assert Group.objects.count() == 2
        with self.client.websocket("/groups/") as websocket:
            websocket.send("of the view")
            assert websocket.wait() == "3"
            assert Group.objects.count() == 3
            Group.objects.all().delete()
            websocket.send("another one")
            assert websocket.wait() == "1"

    def test_rows_of_both_sides(self):
        self.check()

    def test_rolled_back_after_the_other_test(self):
        """The tests may run in any order."""
        self.check()

    def test_num_queries(self):
        with self.client.websocket("/groups/") as websocket, self.assertNumQueries(3):
            websocket.send("one")
            assert websocket.wait() == "3"
            assert Group.objects.count() == 3

    def test_on_commit(self):
        with self.client.websocket("/on-commit/") as websocket:
            with self.captureOnCommitCallbacks() as callbacks:
                websocket.send("one")
                assert websocket.wait() == "one"
            assert len(callbacks) == 1
            assert seen == []
            with self.captureOnCommitCallbacks(execute=True):
                websocket.send("two")
                assert websocket.wait() == "two"
            assert seen == ["two"]

    def test_login(self):
        self.client.force_login(self.user)
        with self.client.websocket("/visits/") as websocket:
            assert websocket.wait() == "ann 1 None"

    def test_redirects(self):
        with self.client.websocket("/redirecting/") as websocket:
            self.assertRedirects(websocket.response, "/landing/?from=websocket")

    def test_contains(self):
        with self.client.websocket("/rejecting/") as websocket:
            self.assertContains(websocket.response, "no room", status_code=418)

    def test_transaction_of_the_view(self):
        with self.client.websocket("/atomic/") as websocket:
            websocket.send("one")
            assert websocket.wait() == "3"
            assert Group.objects.count() == 3, "one connection, so the test sees what is not committed"
        assert seen == [2]
        assert Group.objects.count() == 2

    def test_transaction_of_the_test_between_two_steps(self):
        with self.client.websocket("/atomic/") as websocket:
            websocket.send("one")
            with transaction.atomic():
                Group.objects.create(name="mine")
            websocket.send("two")
            assert [websocket.wait(), websocket.wait()] == ["3", "5"]
        assert seen == [2], "the view's transaction was the outer one"

    def test_transaction_of_the_test_around_the_view(self):
        with transaction.atomic(), self.client.websocket("/atomic/") as websocket:
            websocket.send("one")
            assert websocket.wait() == "3"
        assert Group.objects.count() == 2

    def test_transaction_of_the_test_around_a_step(self):
        """The test may open a transaction while the view has none open."""
        with self.client.websocket("/groups/") as websocket:
            with transaction.atomic():
                websocket.send("one")
                assert websocket.wait() == "3"
                transaction.set_rollback(True)
            assert Group.objects.count() == 2
            websocket.send("two")
            assert websocket.wait() == "3"

    def test_the_transaction_of_the_view_begins_within_that_of_the_test(self):
        before = len(connection.savepoint_ids), len(connection.atomic_blocks)
        blocks = transaction.atomic()
        blocks.__enter__()
        websocket = self.client.websocket("/atomic/").__enter__()
        blocks.__exit__(None, None, None)
        with self.assertRaisesMessage(AssertionError, "atomic() of the view and of the test overlap"):
            websocket.send("one")
        with self.assertRaisesMessage(AssertionError, "atomic() of the view and of the test overlap"):
            websocket.__exit__(None, None, None)
        assert (len(connection.savepoint_ids), len(connection.atomic_blocks)) == before
        assert seen == [], "the view was stopped"

    def test_the_failure_of_the_test_comes_first(self):
        blocks = transaction.atomic()
        blocks.__enter__()
        with pytest.raises(ZeroDivisionError), self.client.websocket("/atomic/"):
            raise blocks.__exit__(None, None, None) or ZeroDivisionError
        assert seen == [], "the view was stopped"

    def test_the_transaction_of_the_test_begins_within_that_of_the_view(self):
        with (
            self.assertRaisesMessage(AssertionError, "atomic() of the view and of the test overlap"),
            self.client.websocket("/atomic/") as websocket,
            transaction.atomic(),
        ):
            websocket.send("one")
        assert Group.objects.count() == 2


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    """There is no transaction around the test."""

    def test_committed(self, client):
        with client.websocket("/groups/") as websocket:
            websocket.send("one")
            assert websocket.wait() == "1"
            assert not connection.in_atomic_block
        assert Group.objects.count() == 1

    def test_on_commit(self, client):
        with client.websocket("/on-commit/") as websocket:
            websocket.send("one")
            assert seen == ["one"]

    def test_rolled_back(self, client):
        with client.websocket("/atomic/") as websocket:
            websocket.send("one")
            assert websocket.wait() == "1"
        assert seen == [0]

    def test_overlapping(self, client):
        with (
            pytest.raises(AssertionError, match=r"^atomic\(\) of the view and of the test overlap$"),
            client.websocket("/atomic/") as websocket,
            transaction.atomic(),
        ):
            websocket.send("one")
        assert not connection.in_atomic_block


@override_settings(ROOT_URLCONF=__name__)
class TestWithoutDatabase(SimpleTestCase):
    client_class = WebSocketClient

    def test_echo(self):
        with self.client.websocket("/echo/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"
