"""How tests make backends, without settings."""

import threading

from django_websocket.groups.backends.memory import MemoryBackend
from django_websocket.groups.backends.redis import RedisBackend
from lab.servers import eventually


def _make(kind, location, options):
    assert options.keys() <= kind.option_names.keys()
    values = {name: validate(options.get(name, default)) for name, (validate, default) in kind.option_names.items()}
    return kind("default", location, values)


def wait_for_threads():
    """Wait until the threads of backends have ended that were stopped: a later test may fork."""
    eventually(
        lambda: [one.name for one in threading.enumerate() if one.name.startswith("groups-")], lambda them: not them
    )


def make_memory(**options):
    return _make(MemoryBackend, None, options)


def make_redis(location, **options):
    return _make(RedisBackend, location, options)
