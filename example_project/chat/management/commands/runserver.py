"""``manage.py runserver``, with the database set up: the example is to run by one command."""

from django.contrib.staticfiles.management.commands.runserver import Command as RunserverCommand
from django.core.management import call_command


class Command(RunserverCommand):
    def check_migrations(self):
        """Apply the migrations of which Django only warns. In production, this is a step of its own."""
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
