"""The messages of our checks by their ids, as the ``check`` command would show them."""

from django.core.checks import run_checks

#: The ids of the messages about a project that leaves every setting at its default.
DEFAULTS = ["I203", "I209"]


def ids(*, deploy=False):
    """Return the ids of our messages, sorted and without ``django_websocket.`` before them."""
    messages = run_checks(include_deployment_checks=deploy)
    return sorted(
        message.id.removeprefix("django_websocket.")
        for message in messages
        if message.id.startswith("django_websocket.")
    )


def with_defaults(*numbers):
    """Return the ids of the messages about a project with default settings, and ``numbers`` besides."""
    return sorted([*DEFAULTS, *numbers])
