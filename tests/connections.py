"""Connections below a request that no server has made, for tests of what stands above the servers."""

from django_websocket.servers import ClientConnection


class FakeConnection(ClientConnection):
    """A connection of which its server has read ``received``, and that counts how often it was answered or refused."""

    def __init__(self, sock=None, received=b""):
        super().__init__(sock, received)
        self.answered = 0
        self.refused = 0

    def mark_answered(self):
        self.answered += 1


class RefusedConnection(FakeConnection):
    """A connection without a socket, whose refusal is only counted."""

    def refuse(self):
        self.refused += 1
