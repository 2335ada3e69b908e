"""``manage.py announce "text"``: tell everybody something, from another process than the server."""

from django.core.management.base import BaseCommand, CommandError

from chat.forms import AnnouncementForm


class Command(BaseCommand):
    help = "Tell everybody who is in the chat something."

    def add_arguments(self, parser):
        parser.add_argument("text")

    def handle(self, *, text, **_options):
        form = AnnouncementForm({"text": text})
        if not form.is_valid():
            raise CommandError(" ".join(form.errors["text"]))
        form.save()
        self.stdout.write("Announced.")
