"""The chat of the example in two windows: in one process with nothing installed, and on two workers with Redis."""

import json

import pytest
from websockets.sync.client import connect

from lab.servers import PATIENCE

from ..live.needs import perl_with
from ..live.old_client import OldClient
from .people import log_in
from .servers import EVENTLET, GUNICORN, RUNSERVER

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

#: What Chromium writes while the server cannot be reached.
AWAY = ("WebSocket connection to", "net::ERR_")


@pytest.fixture
def ada(chat, come):
    """Return Ada, in the list of rooms."""
    return come(chat, "Ada")


@pytest.fixture
def bob(ada, chat, come):
    """Return Bob, in a room of the name Kitchen; Ada has opened it, and is there too."""
    bob = come(chat, "Bob")
    ada.open_room("Kitchen")
    bob.enter("Kitchen")
    ada.until_here("Ada", "Bob")
    return bob


def save_messages(server, number, *, author="Bob", room="Kitchen"):
    """Save messages in another process than the server: texts that count from 1."""
    server.manage(
        "shell",
        "-c",
        "from chat.models import Room; from django.contrib.auth.models import User\n"
        f"room, author = Room.objects.get(name={room!r}), User.objects.get(username={author!r})\n"
        f"for text in range(1, {number + 1}): room.messages.create(author=author, text=str(text))",
    )


@pytest.mark.parametrize("chat", [RUNSERVER, EVENTLET, GUNICORN], indirect=True, ids=str)
def test_two_people_talk(ada, bob):
    """Guards that both see what both say, once, and as it was said."""
    bob.until_here("Ada", "Bob")
    ada.say("Hello <b>Bob</b> ☃")
    bob.until_talk(("Ada", "Hello <b>Bob</b> ☃"))
    bob.say("Hello, Ada")
    said = [("Ada", "Hello <b>Bob</b> ☃"), ("Bob", "Hello, Ada")]
    for person in (ada, bob):
        person.until_talk(*said)
        assert len(person.driver.find_elements("css selector", "#log [data-own]")) == 1
    # The history, from the database.
    ada.driver.refresh()
    ada.until_talk(*said)


def test_typing(ada, bob):
    """Guards the sign that somebody is typing: others see it, and it goes when the message comes, or with time."""
    bob("#message").send_keys("Hel")
    ada.until_text("#typing", "Bob is typing")
    assert not bob.text("#typing")
    bob("#message").send_keys("lo")
    bob.click("#send")
    ada.until_talk(("Bob", "Hello"))
    assert not ada.text("#typing")
    bob("#message").send_keys("And")
    ada.until_text("#typing", "Bob is typing")
    ada.until_text("#typing", "")


@pytest.mark.parametrize("how", ["tab closed", "page left", "logged out"])
def test_who_is_here(ada, bob, how):
    """Guards against people who stay when their tab is closed, their page is left, or they have logged out."""
    if how == "tab closed":
        bob.driver.close()
    elif how == "page left":
        bob.open("/both-ways/")
    else:
        bob.click("#log-out")
    ada.until_here("Ada")


def test_list_of_rooms(ada, chat, come):
    """Guards the list of rooms: new rooms, what was said last, how much of it is new, and how many are there."""
    bob = come(chat, "Bob")
    bob.until_state("open")
    ada.open_room("Kitchen")
    bob.until_room("Kitchen", ".here", "1 here")
    for number in (1, 2):
        ada.say(f"Message {number}")
        bob.until_room("Kitchen", ".badge .number", str(number))
        bob.until_room("Kitchen", ".last .text", f"Message {number}")
    assert bob.title() == "(2) Rooms"
    ada.open("/chat/")
    ada.until_room("Kitchen", ".last .text", "Message 2")
    bob.until_room("Kitchen", ".here", "")


@pytest.mark.parametrize("chat", [RUNSERVER], indirect=True, ids=str)
def test_names(ada, chat, come):
    """Guards that nobody takes the name of somebody who is here, and that it is free when they are gone."""
    bob = come(chat, "Bob")
    bob.click("#log-out")
    bob.until(lambda: bob("#name").is_displayed())
    bob.fill("#name", "ada")
    bob.click("#enter")
    bob.until_text("#error", "Somebody is called ada already.")
    ada.click("#log-out")
    ada.until(lambda: ada("#name").is_displayed())
    bob.click("#enter")
    bob.until_text("#me", "Ada")


def test_lost_connection(ada, bob):
    """Guards a phone that was away: it gets what it missed, once, and shows how much of it is new."""
    bob.tolerate(*AWAY)
    ada.say("Before")
    bob.until_talk(("Ada", "Before"))
    bob.cable.cut()
    bob.until_state("returning")
    assert bob.text("#status") == "Coming back"
    # The heading beside it still has its room.
    assert bob.run("return document.getElementById('here-title').getBoundingClientRect().height") < 40
    ada.until_here("Ada")
    texts = ["Before", "First", "Second", "Third"]
    for text in texts[1:]:
        ada.say(text)
    ada.until_talk(*[("Ada", text) for text in texts])
    bob.cable.mend()
    bob.until_online()
    bob.until_talk(*[("Ada", text) for text in texts])
    assert bob.text("#log [data-event=new]") == "3 new"
    assert bob.title() == "(3) Kitchen"
    assert bob.run("return document.querySelector('#log [data-event=new] + li .body').textContent") == "First"
    ada.until_here("Ada", "Bob")
    bob.say("Here I am")
    assert bob.title() == "Kitchen"
    ada.until_talk(*[("Ada", text) for text in texts], ("Bob", "Here I am"))


def test_lost_message(ada, bob):
    """Guards what was sent into a connection that was dead: it is not shown as said, and not lost either."""
    bob.tolerate(*AWAY)
    bob.cable.block()
    bob.say("Are you there?")
    assert bob.run("return document.querySelectorAll('#log [data-pending]').length") == 1
    assert bob.talk() == []
    bob.cable.cut()
    bob.until_state("returning")
    bob.cable.mend()
    bob.until_online()
    assert bob.run("return document.getElementById('message').value") == "Are you there?"
    assert bob("#error").is_displayed()
    bob.click("#send")
    ada.until_talk(("Bob", "Are you there?"))
    assert not bob("#error").is_displayed()


@pytest.mark.parametrize("chat", [RUNSERVER, EVENTLET, GUNICORN], indirect=True, ids=str)
def test_server_restarts(ada, bob, chat):
    """Guards a server that was away, and messages that were saved meanwhile: they are there, however they came."""
    for person in (ada, bob):
        person.tolerate(*AWAY)
    ada.say("Before")
    bob.until_talk(("Ada", "Before"))
    chat.stop()
    for person in (ada, bob):
        person.until_state("returning")
    save_messages(chat, 2)
    chat.start()
    for person in (ada, bob):
        person.until_online()
    said = [("Ada", "Before"), ("Bob", "1"), ("Bob", "2")]
    ada.until_talk(*said)
    assert ada.text("#log [data-event=new]") == "2 new"
    ada.say("After")
    bob.until_talk(*said, ("Ada", "After"))
    ada.until_here("Ada", "Bob")


@pytest.mark.parametrize("chat", [RUNSERVER], indirect=True, ids=str)
def test_message_that_was_saved_before_the_server_went(bob, chat):
    """Guards a message that has arrived, though nobody could say so: it is there, and is not to be sent once more."""
    bob.tolerate(*AWAY)
    bob.cable.block()
    bob.say("1")
    bob.cable.cut()
    bob.until_state("returning")
    chat.stop()
    save_messages(chat, 1)
    chat.start()
    # The server has forgotten the group, so that the page is fetched: here it takes longer than the WebSocket.
    bob.run(
        "const { fetch } = window;"
        "window.fetch = (...given) => new Promise((go) => setTimeout(go, 1000)).then(() => fetch(...given))"
    )
    bob.cable.mend()
    bob.until_online()
    assert bob.talk() == [("Bob", "1")]
    assert bob.run("return document.getElementById('message').value") == ""
    assert not bob("#error").is_displayed()


def test_page_left_and_back(ada, bob):
    """Guards a page that the browser keeps for the way back: it comes back too, and gets what it missed."""
    bob.open("/both-ways/")
    ada.until_here("Ada")
    ada.say("Missed")
    bob.driver.back()
    bob.until_talk(("Ada", "Missed"))
    bob.until_online()
    ada.until_here("Ada", "Bob")


@pytest.mark.parametrize("chat", [GUNICORN], indirect=True, ids=str)
def test_more_was_missed_than_the_history_has(ada, bob, chat):
    """Guards a gap: the page gets from the database what the group does not remember."""
    bob.tolerate(*AWAY)
    bob.cable.cut()
    bob.until_state("returning")
    save_messages(chat, 250, author="Ada")
    bob.cable.mend()
    bob.until_online()
    # Both keep 200, and the group may have forgotten other ones than the page leaves out.
    rows = bob.until(bob.talk, lambda rows: len(rows) >= 200)
    assert rows[-200:] == [("Ada", str(number)) for number in range(51, 251)]


def test_announcement_by_a_form(ada, bob):
    """Guards a notification from a plain form, which is pushed to every page and stays until it is dismissed."""
    assert not bob.announcement()
    ada.open("/chat/")
    ada.fill("#announcement", "Tea & <i>cake</i>")
    ada.click("#announce")
    bob.until(bob.announcement, lambda text: text == "Ada: Tea & <i>cake</i>")
    assert ada.until(ada.announcement) == "Ada: Tea & <i>cake</i>"
    bob.click("#dismiss")
    assert not bob.announcement()
    bob.driver.refresh()
    bob.until_online()
    assert not bob.announcement()


def test_announcement_by_a_command(ada, bob, chat):
    """Guards a notification from another process: pushed by Redis; without it, said to be seen on the next page."""
    written = chat.manage("announce", "Tea!")
    assert "Announced." in written
    if chat.kind is not GUNICORN:
        assert "a message reaches members in the same process only" in written
        bob.driver.refresh()
    else:
        assert "same process" not in written
    bob.until(bob.announcement, lambda text: text == "this site: Tea!")


def test_log_out(ada, bob, chromium, chat):
    """Guards that a log-out reaches the other tabs of the same browser at once; they ask for a name."""
    bob.driver.switch_to.new_window("window")
    other = chromium(chat, type(bob), "localhost", bob.cable)
    other.enter("Kitchen")
    bob.click("#log-out")
    other.until(lambda: other("#name").is_displayed())
    ada.until_here("Ada")


def test_session_that_ended_meanwhile(bob, chat):
    """Guards a page that comes back after its session has expired: it asks for a name, in place of trying for ever."""
    bob.tolerate(*AWAY)
    bob.cable.cut()
    bob.until_state("returning")
    chat.manage("shell", "-c", "from django.contrib.sessions.models import Session; Session.objects.all().delete()")
    bob.cable.mend()
    bob.until(lambda: bob("#name").is_displayed())


@pytest.mark.parametrize("chat", [GUNICORN], indirect=True, ids=str)
def test_closed_for_good(ada, bob, chat):
    """Guards a Close after which a page does not come back: both pages say so, why, and what to do."""
    bob.open("/chat/")
    bob.until_state("open")
    chat.manage(
        "shell",
        "-c",
        "from chat.models import Room; from chat.pushes import lobby\n"
        "Room.objects.get(name='Kitchen').talk.close(4000, 'the kitchen is closed')\n"
        "lobby.close(1008)",
    )
    for person, why in ((ada, "the kitchen is closed"), (bob, "policy violation")):
        person.until_state("closed")
        assert person.text("#status") == "Closed"
        assert person("#error").is_displayed()
        assert person.text("#error") == f"The server has ended the connection: {why}. Load the page again."
    assert not ada("#send").is_enabled()
    ada.driver.refresh()
    ada.until_online()


@pytest.mark.parametrize("chat", [RUNSERVER, GUNICORN], indirect=True, ids=str)
def test_chromium_websockets_and_hixie76_chat(ada, chat):
    """A stock Chromium page, a Python ``websockets`` client and a hixie-76 client chat with the same view at once."""
    perl_with("Protocol::WebSocket", "libprotocol-websocket-perl")
    ada.open_room("Kitchen")
    path = ada.run("return document.getElementById('room').dataset.url")

    def said(receive):
        while True:
            content = json.loads(receive())
            if "id" in content:
                message = content["data"]["said"]
                return message["author"], message["text"]

    headers = {"Cookie": log_in(chat, "Python")}
    with (
        connect(
            chat.url(path), proxy=None, origin=chat.origin, additional_headers=headers, open_timeout=PATIENCE
        ) as python,
        OldClient(chat, path, 76, log_in(chat, "Perl")) as perl,
    ):
        ada.until_here("Ada", "Perl", "Python")
        rows = []
        for name, say in (("Ada", ada.say), ("Python", python.send), ("Perl", perl.send)):
            rows.append((name, f"from {name} ☃"))
            say(rows[-1][1])
            assert said(lambda: python.recv(timeout=PATIENCE)) == rows[-1]
            assert said(perl.next) == rows[-1]
        ada.until_talk(*rows)
        perl.close()
    assert (python.close_code, python.close_reason) == (1000, "")
    ada.until_here("Ada")
