"""Groups in a test with a database in memory: a chat room as people write it, with nothing in it for tests."""

import queue
import threading
import time

import pytest
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.signals import post_save
from django.http import HttpResponse
from django.test import TestCase, override_settings
from django.urls import path

from django_websocket import Group, disconnect_user
from django_websocket.groups.backends import get_backend
from django_websocket.signals import member_joined, member_left
from django_websocket.testing import WebSocketClient
from django_websocket.testing.scheduler import scheduler

from . import views

urlpatterns = [*views.urlpatterns]
route = views.make_route(urlpatterns)

room = Group("chat", history=10)
news = Group("news")
duel = Group("duel")


@route("chat/")
@login_required
def chat(request):
    user = request.user
    with room.joined(request.websocket, name=user.username, since=request.GET.get("since")):
        for text in request.websocket:
            room.send_json({"by": user.first_name, "text": text})


def post(request):
    room.send_json({"by": "POST", "text": request.POST["text"]})
    return HttpResponse(room.position())


urlpatterns.append(path("post/", post))


@route("listening/")
def listening(request):
    """Number what comes from the groups, and answer the client."""
    websocket = request.websocket
    events = news.listen(websocket, timeout=60)
    events.add(room)
    for number, event in enumerate(events):
        websocket.send_json([number, event.kind, event.group, event.data])


@route("duel/")
def fight(request):
    for event in duel.listen(request.websocket):
        if event.kind == "group":
            duel.send(event.data, exclude=request.websocket)


@route("solo/")
def solo(request):
    for event in duel.listen(request.websocket):
        duel.send(event.data)


def announce(sender, instance, created, **_):
    if created:
        room.send_on_commit({"by": "", "text": f"{instance.first_name} is new"})


class Publisher(threading.Thread):
    """Sends in a thread of its own, which lives longer than any view, and asks the database who has written."""

    def __init__(self):
        super().__init__(daemon=True)
        self.due = queue.Queue()

    def run(self):
        while (item := self.due.get()) is not None:
            pk, text = item
            room.send_json({"by": User.objects.get(pk=pk).first_name, "text": text})
            news.send(text)


@override_settings(ROOT_URLCONF=__name__)
class ChatTests(TestCase):
    client_class = WebSocketClient

    def setUp(self):
        post_save.connect(announce, sender=User)
        self.addCleanup(post_save.disconnect, announce, sender=User)

    def enter(self, name, query=""):
        client = WebSocketClient()
        user = User.objects.get_or_create(username=name.lower(), first_name=name)[0]
        client.force_login(user)
        return client.websocket(f"/chat/{query}")

    def test_everybody_hears_everybody(self):
        with self.enter("Ann") as ann, self.enter("Bob") as bob:
            assert room.members() == {"ann", "bob"}
            ann.send("hello")
            for session in (ann, bob):
                session.assert_message({"by": "Ann", "text": "hello"}, group=room)
                session.expect_nothing()
        assert room.count() == 0

    def test_a_post_view_publishes(self):
        with self.enter("Ann") as ann:
            self.client.post("/post/", {"text": "pushed"})
            ann.assert_message({"by": "POST", "text": "pushed"}, group=room)

    def test_a_signal_publishes_on_commit(self):
        with self.enter("Ann") as ann:
            with self.captureOnCommitCallbacks(execute=True):
                User.objects.create(username="cid", first_name="Cid")
                ann.expect_nothing()
            ann.assert_message({"by": "", "text": "Cid is new"}, group=room)
            with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
                User.objects.create(username="dan", first_name="Dan")
                transaction.set_rollback(True)
            ann.expect_nothing(timeout=10)

    def test_a_client_that_comes_back_gets_what_it_has_missed(self):
        """The history was written before the second client was made."""
        position = self.client.post("/post/", {"text": "on the page"}).content.decode()
        for number in range(3):
            self.client.post("/post/", {"text": str(number)})
        with self.enter("Bob", f"?since={position}") as bob:
            for number in range(3):
                last = bob.assert_message({"by": "POST", "text": str(number)}, group=room)
            bob.expect_nothing()
        self.client.post("/post/", {"text": "3"})
        with self.enter("Bob", f"?since={last}") as bob:
            bob.assert_message({"by": "POST", "text": "3"}, group=room)

    def test_the_next_test_begins_anew(self):
        assert room.position().number == 0

    test_and_so_does_this = test_the_next_test_begins_anew

    def test_threads_publish(self):
        publisher = Publisher()
        publisher.start()
        with self.enter("Ann") as ann, self.enter("Bob") as bob:
            pk = User.objects.get(username="bob").pk
            for text in ("one", "two"):
                publisher.due.put((pk, text))
                for session in (ann, bob):
                    session.assert_message({"by": "Bob", "text": text}, group=room)
            ann.expect_nothing(timeout=5)
        publisher.due.put(None)
        publisher.join()

    def test_presence_is_announced(self):
        heard = []

        def joined(group, name, **_):
            heard.append(("joined", group, name, room.count()))

        def left(group, name, **_):
            heard.append(("left", group, name, room.count()))

        member_joined.connect(joined)
        member_left.connect(left)
        try:
            with self.enter("Ann"), self.enter("Ann"), self.enter("Bob"):
                pass
        finally:
            member_joined.disconnect(joined)
            member_left.disconnect(left)
        assert heard == [
            ("joined", "chat", "ann", 1),
            ("joined", "chat", "bob", 3),
            ("left", "chat", "bob", 2),
            ("left", "chat", "ann", 0),
        ]

    def test_a_user_is_disconnected(self):
        with self.enter("Ann") as ann, self.enter("Bob") as bob:
            disconnect_user(User.objects.get(username="ann"))
            assert ann.wait() is None
            assert (ann.close_code, ann.close_reason) == (4401, "logged out")
            bob.expect_nothing()

    def test_a_log_out_closes_at_once(self):
        with self.enter("Ann") as ann, self.enter("Ann") as other:
            ann._client.logout()
            assert ann.wait() is None
            assert ann.close_code == 4401
            other.expect_nothing()


@override_settings(ROOT_URLCONF=__name__)
class ListeningTests(TestCase):
    client_class = WebSocketClient

    def test_a_view_listens(self):
        with self.client.websocket("/listening/") as ws:
            ws.send("mine")
            ws.assert_message([0, "client", None, "mine"])
            news.send("hot")
            self.client.post("/post/", {"text": "pushed"})
            ws.assert_message([1, "group", "news", "hot"])
            ws.assert_message([2, "group", "chat", {"by": "POST", "text": "pushed"}])
            ws.expect_nothing(timeout=59)
            now = scheduler().now
            ws.assert_message([3, "timeout", None, None])
            assert scheduler().now == pytest.approx(now + 1)
        assert news.count() == room.count() == 0

    def test_two_views_and_a_thread(self):
        publisher = Publisher()
        with self.client.websocket("/listening/") as one, self.client.websocket("/listening/") as two:
            pk = User.objects.create(username="ann", first_name="Ann").pk
            publisher.start()
            publisher.due.put((pk, "hi"))
            for ws in (one, two):
                ws.assert_message([0, "group", "chat", {"by": "Ann", "text": "hi"}], timeout=5)
                ws.assert_message([1, "group", "news", "hi"], timeout=5)
            publisher.due.put(None)
            publisher.join()

    def test_a_thread_that_works_for_a_while(self):
        with self.client.websocket("/listening/") as ws:
            thread = threading.Thread(target=lambda: (time.sleep(0.1), news.send("done")))
            thread.start()
            ws.assert_message([0, "group", "news", "done"], timeout=5)
            thread.join()

    def test_views_that_answer_each_other_for_ever(self):
        with self.client.websocket("/duel/") as one, self.client.websocket("/duel/") as two:
            duel.send("en garde")
            for ws in (one, two):
                with pytest.raises(AssertionError, match=r"^the views have had 10000 turns"):
                    ws.expect_nothing()

    def test_a_view_that_answers_itself_for_ever(self):
        """The test gets its turn all the same."""
        with self.client.websocket("/solo/") as ws:
            duel.send("hello, I")
            ws.expect_nothing(timeout=0.01)
            assert 500 < duel.position().number < 2000

    def test_a_view_that_falls_behind(self):
        with self.client.websocket("/listening/") as ws:
            for _ in range(get_backend("default").limits.messages + 1):
                news.send("x")
            assert list(ws) == []
            assert ws.close_code == 1013
