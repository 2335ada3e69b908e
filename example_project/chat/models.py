"""Rooms, what was said in them, and what everybody was told."""

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from django_websocket import Group


class Room(models.Model):
    #: Messages that a page shows, and that a browser which was away gets at once.
    HISTORY = 200

    name = models.CharField(max_length=40, unique=True)

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("chat:room", args=[self.pk])

    @property
    def talk(self):
        """The messages. A browser that was away gets those that it missed."""
        return Group(f"chat.talk:{self.pk}", history=self.HISTORY)

    @property
    def signs(self):
        """Who is here, and who is typing: of no use to a browser that was away."""
        return Group(f"chat.signs:{self.pk}")


class Message(models.Model):
    room = models.ForeignKey(Room, models.CASCADE, related_name="messages")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    text = models.TextField(max_length=2000)
    sent = models.DateTimeField(auto_now_add=True)

    def __str__(self):
        return f"{self.author}: {self.text}"

    def as_json(self):
        """Return what browsers get."""
        return {"id": self.pk, "room": self.room_id, "author": str(self.author), "text": self.text, "sent": self.sent}


class Announcement(models.Model):
    #: None: it came from the command line.
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True)
    text = models.CharField(max_length=200)
    sent = models.DateTimeField(auto_now_add=True)

    def __str__(self):
        return self.text

    @classmethod
    def newest(cls):
        """Return the newest one as JSON, None if it is too old to be news."""
        recent = cls.objects.filter(sent__gt=timezone.now() - timedelta(hours=1))
        newest = recent.select_related("author").order_by("pk").last()
        return newest and newest.as_json()

    def as_json(self):
        """Return what browsers get."""
        author = str(self.author) if self.author else "this site"
        return {"id": self.pk, "author": author, "text": self.text, "sent": self.sent}
