"""``manage.py test chat``: views, pushes and WebSockets, without a server and without a thread."""

import json
from datetime import timedelta
from io import StringIO

from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import TestCase
from django.utils import timezone

from chat.models import Announcement, Message, Room
from chat.names import claim
from django_websocket import Group
from django_websocket.testing import WebSocketClient


def log_in(name):
    client = WebSocketClient()
    client.post("/chat/login/", {"name": name})
    return client


def heard(websocket):
    """Return what a browser has got since the last look; of messages, what is in their envelopes."""
    events = []
    while True:
        try:
            text = websocket.wait(timeout=0.1)
        except TimeoutError:
            return events
        content = json.loads(text)
        events.append(Group.unwrap(text).data if "id" in content else content)


def texts(events):
    return [event["said"]["text"] for event in events if "said" in event]


class NameTests(TestCase):
    def test_a_name_is_enough(self):
        response = self.client.post("/chat/login/?next=/chat/1/", {"name": "  Ada \n Lovelace ", "next": "/chat/1/"})
        self.assertRedirects(response, "/chat/1/", fetch_redirect_response=False)
        self.assertContains(self.client.get("/chat/"), "Ada Lovelace")

    def test_one_person_has_it_until_they_log_out(self):
        ada = log_in("Ada")
        self.assertContains(self.client.post("/chat/login/", {"name": "ADA"}), "Somebody is called ADA already.")
        ada.post("/chat/logout/")
        self.assertRedirects(self.client.post("/chat/login/", {"name": "Ada"}), "/chat/")

    def test_it_is_free_when_the_session_has_expired(self):
        ada = log_in("Ada")
        self.assertLess(ada.session.get_expiry_date(), timezone.now() + timedelta(hours=12))
        self.assertIsNone(claim("Ada"))
        User.objects.update(last_login=timezone.now() - timedelta(hours=12, seconds=1))
        self.assertEqual(claim("Ada"), User.objects.get())

    def test_nobody_comes_in_as_somebody_who_has_a_password(self):
        User.objects.create_user("admin", password="secret")
        self.assertContains(self.client.post("/chat/login/", {"name": "admin"}), "Somebody is called admin already.")

    def test_it_can_be_seen(self):
        for name in ["", " \t", "a\u202eb", "a\x00b", "x" * 31]:
            response = self.client.post("/chat/login/", {"name": name})
            self.assertContains(response, 'id="error"', msg_prefix=ascii(name))
        self.assertFalse(User.objects.exists())

    def test_the_log_in_does_not_lead_elsewhere(self):
        response = self.client.post("/chat/login/", {"name": "Ada", "next": "https://evil.example/"})
        self.assertRedirects(response, "/chat/")

    def test_forms_need_the_token(self):
        browser = WebSocketClient(enforce_csrf_checks=True)
        browser.force_login(User.objects.create_user("Ada"))
        for path in ["/chat/", "/chat/announce/", "/chat/login/", "/chat/logout/"]:
            self.assertEqual(browser.post(path, {"name": "x", "text": "x"}).status_code, 403, path)

    def test_everything_else_asks_for_it(self):
        for path in ["/chat/", "/chat/1/", "/chat/announce/"]:
            self.assertRedirects(self.client.get(path), f"/chat/login/?next={path}")
        for path in ["/ws/chat/", "/ws/chat/1/"]:
            # A page would not see a redirect.
            with WebSocketClient().websocket(path) as websocket:
                self.assertIsNone(websocket.wait())
                self.assertEqual(websocket.close_code, 4401)


class RoomTests(TestCase):
    def setUp(self):
        self.room = Room.objects.create(name="Kitchen")
        self.ada, self.bob = log_in("Ada"), log_in("Bob")

    def enter(self, client, **query):
        return client.websocket(f"/ws/chat/{self.room.pk}/?since={query.get('since', '')}")

    def say(self, websocket, text):
        # The tests of TestCase run in a transaction; what is to happen after it happens at the end of this block.
        with self.captureOnCommitCallbacks(execute=True):
            websocket.send(text)

    def read_page(self, client):
        return client.get(self.room.get_absolute_url()).context["history"]

    def test_everybody_in_a_room_hears_what_is_said(self):
        with self.enter(self.ada) as ada, self.enter(self.bob) as bob:
            heard(ada), heard(bob)
            self.say(ada, "Hello <b>")
            (message,) = Message.objects.all()
            self.assertEqual((message.author.username, message.text), ("Ada", "Hello <b>"))
            self.assertEqual(texts(heard(ada)), ["Hello <b>"])
            self.assertEqual(texts(heard(bob)), ["Hello <b>"])
        other = Room.objects.create(name="Other")
        with self.ada.websocket(f"/ws/chat/{other.pk}/") as elsewhere, self.enter(self.bob) as bob:
            self.say(bob, "Still here?")
            self.assertEqual(texts(heard(elsewhere)), [])

    def test_whatever_saves_a_message_pushes_it(self):
        with self.enter(self.ada) as ada:
            heard(ada)
            with self.captureOnCommitCallbacks(execute=True):
                self.room.messages.create(author=User.objects.get(username="Bob"), text="From a shell")
                self.assertEqual(texts(heard(ada)), [])
            self.assertEqual(texts(heard(ada)), ["From a shell"])

    def test_a_page_shows_the_past_and_its_websocket_goes_on_from_there(self):
        with self.enter(self.ada) as ada:
            self.say(ada, "Before")
            page = self.read_page(self.bob)
            self.assertEqual([message["text"] for message in page["messages"]], ["Before"])
            self.say(ada, "Between")
            with self.enter(self.bob, since=page["position"]) as bob:
                events = heard(bob)
                self.assertEqual(texts(events), ["Between"])
                # By which the page knows that it has got all that it missed.
                self.assertEqual([index for index, event in enumerate(events) if "ready" in event], [len(events) - 1])

    def test_a_browser_that_comes_back_too_late_is_told_so(self):
        with self.enter(self.ada) as ada:
            ada.send("")
            with self.enter(self.bob, since="00000000-1") as bob:
                self.assertTrue(any("gap" in event for event in heard(bob)))

    def test_who_is_here(self):
        with self.ada.websocket("/ws/chat/") as lobby:
            with self.enter(self.ada) as ada:
                with self.enter(self.bob):
                    self.assertEqual([event["here"] for event in heard(ada) if "here" in event][-1], ["Ada", "Bob"])
                self.assertEqual(heard(ada)[-1], {"here": ["Ada"]})
            counts = [event["entered"]["here"] for event in heard(lobby) if "entered" in event]
            self.assertEqual(counts, [1, 2, 1, 0])

    def test_who_is_typing(self):
        with self.enter(self.ada) as ada, self.enter(self.bob) as bob:
            heard(ada), heard(bob)
            bob.send("")
            self.assertEqual((heard(ada), heard(bob)), ([{"typing": "Bob"}], []))
            self.assertFalse(Message.objects.exists())

    def test_messages_are_text_of_some_length(self):
        with self.enter(self.ada) as ada:
            ada.send(b"\x00")
            list(ada)
            self.assertEqual(ada.close_code, 1003)
        with self.enter(self.ada) as ada:
            with self.assertLogs("django_websocket"):
                ada.send("x" * 8001)
            list(ada)
            self.assertEqual(ada.close_code, 1009)
        self.assertFalse(Message.objects.exists())

    def test_what_was_said_is_no_html(self):
        evil = "</script><script>alert(1)</script>"
        self.room.messages.create(author=User.objects.get(username="Bob"), text=evil)
        for path in [self.room.get_absolute_url(), "/chat/"]:
            self.assertNotContains(self.ada.get(path), evil)

    def test_rooms_are_opened_by_a_form_and_told_of(self):
        with self.bob.websocket("/ws/chat/") as lobby:
            heard(lobby)
            with self.captureOnCommitCallbacks(execute=True):
                response = self.ada.post("/chat/", {"name": "Garden"})
            room = Room.objects.get(name="Garden")
            self.assertRedirects(response, room.get_absolute_url())
            url = room.get_absolute_url()
            self.assertEqual(heard(lobby), [{"opened": {"id": room.pk, "name": "Garden", "url": url}}])
        self.assertContains(self.ada.post("/chat/", {"name": "garden"}), "There is a room garden already.")
        self.assertContains(self.bob.get("/chat/"), "Garden")


class AnnouncementTests(TestCase):
    def setUp(self):
        self.ada = log_in("Ada")
        self.room = Room.objects.create(name="Kitchen")

    def test_a_form_reaches_everybody(self):
        with (
            self.ada.websocket("/ws/chat/") as lobby,
            log_in("Bob").websocket(f"/ws/chat/{self.room.pk}/") as room,
        ):
            heard(lobby), heard(room)
            with self.captureOnCommitCallbacks(execute=True):
                self.assertRedirects(self.ada.post("/chat/announce/", {"text": "Tea!"}), "/chat/")
            for websocket in (lobby, room):
                (event,) = heard(websocket)
                self.assertEqual((event["announced"]["author"], event["announced"]["text"]), ("Ada", "Tea!"))
        self.assertContains(self.ada.get("/chat/"), "Tea!")

    def test_a_command_reaches_everybody(self):
        with self.ada.websocket("/ws/chat/") as lobby:
            heard(lobby)
            with self.captureOnCommitCallbacks(execute=True):
                call_command("announce", "Tea!", stdout=StringIO())
            (event,) = heard(lobby)
            self.assertEqual(event["announced"]["text"], "Tea!")

    def test_nothing_is_announced_in_vain(self):
        self.assertContains(self.ada.post("/chat/announce/", {"text": " "}), "This field is required.")
        with self.assertRaisesMessage(CommandError, "This field is required."):
            call_command("announce", " ")
        self.assertFalse(Announcement.objects.exists())

    def test_whoever_comes_later_is_told_of_the_newest_but_not_of_old_ones(self):
        announcement = Announcement.objects.create(text="Tea!")
        with self.ada.websocket("/ws/chat/") as lobby:
            self.assertEqual(heard(lobby)[0]["announced"]["text"], "Tea!")
        Announcement.objects.filter(pk=announcement.pk).update(sent=timezone.now() - timedelta(hours=2))
        with self.ada.websocket("/ws/chat/") as lobby:
            self.assertEqual(heard(lobby), [{"announced": None, "ready": True}])
