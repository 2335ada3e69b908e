"""A backend of groups that notes what it is asked for."""

from django_websocket.exceptions import GroupUnavailable
from django_websocket.groups.backends.memory import MemoryBackend

PATH = f"{__name__}.SpyBackend"
SETTING = {"default": {"BACKEND": PATH}}


class SpyBackend(MemoryBackend):
    """A backend that could reach other processes, or be away."""

    #: What all of them were asked for.
    calls = []
    away = False

    def watch(self):
        self.calls.append("watch")

    def disconnect(self, owner, key):
        self.calls.append((owner, key))
        if self.away:
            raise GroupUnavailable("it is away", maybe_sent=True)

    def publish(self, group, payload, *, history):
        if self.away:
            raise GroupUnavailable("it is away", maybe_sent=True)
        return super().publish(group, payload, history=history)

    def close(self, group, code, reason):
        if self.away:
            raise GroupUnavailable("it is away")
        super().close(group, code, reason)
