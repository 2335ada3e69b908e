"""A member in its backend."""

from django_websocket.groups.backends import get_backend
from django_websocket.groups.member import Member
from django_websocket.groups.membership import Membership
from django_websocket.groups.position import Replay

from ..connection.line import connect


def test_a_membership_begins_and_ends():
    ws, _ = connect()
    backend = get_backend("default")
    membership = Membership(backend, Member("room", ws))
    assert membership.begin() == Replay(complete=True, missed=0)
    assert backend.count("room") == 1
    membership()
    membership()
    assert backend.count("room") == 0
    ws.end(wait=False)
