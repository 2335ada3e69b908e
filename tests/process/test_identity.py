"""The identity of a process, and serial numbers in it."""

import os

import pytest

from django_websocket.process.identity import Identity, identity, is_id


def test_it_stays_the_same():
    one = Identity()
    assert one.process_id == one.process_id
    assert len(one.process_id) == 12
    assert one.process_id != Identity().process_id


def test_ids_differ():
    one = Identity()
    ids = [one.next_id() for _ in range(3)]
    assert ids == [f"{one.process_id}/{number}" for number in (1, 2, 3)]


def test_what_is_an_id():
    assert is_id(identity.next_id())
    assert is_id("0123456789ab/10")
    for text in ("", "0123456789ab", "0123456789ab/", "0123456789ab/1\n", "0123456789ag/1", "0123456789ab/\u0661"):
        assert not is_id(text)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork()")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Using fork\\(\\) is a bad idea:DeprecationWarning")
def test_a_forked_child_has_its_own():
    before = identity.process_id
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, identity.next_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    found = os.read(reader, 100).decode()
    os.close(reader)
    os.close(writer)
    assert found.endswith("/1")
    assert not found.startswith(before)
    assert identity.process_id == before
