"""What browsers are told of without having asked: the one place from which it goes to them.

The receivers run wherever a message is saved: in a view, in a command, in a shell. None of these knows of WebSockets.
"""

from django.db.models.signals import post_save
from django.dispatch import receiver

from chat.models import Announcement, Message, Room
from django_websocket import Group
from django_websocket.signals import member_joined, member_left

#: Everybody.
everybody = Group("chat.everybody")
#: Everybody who looks at the list of rooms.
lobby = Group("chat.lobby")


@receiver(post_save, sender=Message)
def push_message(instance, created, **_more):
    if created:
        instance.room.talk.send_on_commit({"said": instance.as_json()})
        lobby.send_on_commit({"said": instance.as_json()})


@receiver(post_save, sender=Announcement)
def push_announcement(instance, created, **_more):
    if created:
        everybody.send_on_commit({"announced": instance.as_json()})


@receiver(post_save, sender=Room)
def push_room(instance, created, **_more):
    if created:
        lobby.send_on_commit({"opened": {"id": instance.pk, "name": instance.name, "url": instance.get_absolute_url()}})


@receiver([member_joined, member_left])
def push_who_is_here(group, **_more):
    kind, _, room = group.partition(":")
    if kind != "chat.talk":
        return
    sent = None
    # Others may come and go meanwhile, and tell it in any order: whoever tells it last has to be right.
    while sent != (here := sorted(Group(group).members())):
        Group(f"chat.signs:{room}").send_json({"here": here})
        lobby.send_json({"entered": {"room": int(room), "here": len(here)}})
        sent = here
