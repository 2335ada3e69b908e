"""Members of groups that record what they get, without a client."""

import itertools
import threading

from django_websocket.connection.backlog import Delivery
from django_websocket.groups.member import Member
from django_websocket.groups.payload import unwrap
from django_websocket.protocols.base import Shared, payload_size

_serials = itertools.count(1)


class Plain:
    """A protocol of which a frame is the message itself, with a line's end."""

    frame_key = "plain"

    def encode_shared(self, message):
        data = message.encode() if isinstance(message, str) else b"b:" + message
        return Shared(data + b"\n", payload_size(message))


class Recorder:
    """A WebSocket and its connection, as far as groups use them."""

    has_member_id = True

    def __init__(self):
        self.member_id = f"recorder/{next(_serials)}"
        self.protocol = Plain()
        self._items = []
        #: What the next deliveries return.
        self.answer = Delivery.SENT
        self.closed = None
        self._changed = threading.Condition()

    def open(self):
        return self

    def deliver(self, item, limits):
        with self._changed:
            if self.answer > 0:
                self._items.append(item.data)
            self._changed.notify_all()
        return self.answer

    @staticmethod
    def deliver_to_all(receivers, item, limits):
        results = [(receiver, receiver.deliver(item, limits)) for receiver in receivers]
        return [(receiver, delivery) for receiver, delivery in results if delivery <= 0]

    def request_close(self, code, reason=""):
        with self._changed:
            if self.closed is None:
                self.closed = code, reason
            self._changed.notify_all()

    @property
    def data(self):
        """Everything that the client has got."""
        return b"".join(self._items)

    @property
    def last(self):
        """The last text that the client has got."""
        return self._items[-1].decode().splitlines()[-1] if self._items else ""

    @property
    def texts(self):
        """What the client has got, a text for each message."""
        return self.data.decode().splitlines()

    @property
    def envelopes(self):
        return [unwrap(text) for text in self.texts]

    def wait_for(self, condition, timeout=20):
        """Wait until a condition holds of this recorder."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), timeout), (self.texts[-20:], self.closed)

    def expect(self, *texts):
        """Wait until the client has got these messages, and check that it has got no others."""
        self.wait_for(lambda _: len(self.texts) >= len(texts))
        assert self.texts == list(texts)


def member(group, name=None, *, enveloped=False, recorder=None):
    """Return a member, and its recorder."""
    recorder = recorder or Recorder()
    return Member(group, recorder, name=name, enveloped=enveloped), recorder
