"""Clients that nobody here wrote, of the versions that no browser speaks any more: Perl's Protocol::WebSocket."""

import pytest

from .old_client import VERSIONS, OldClient
from .parameters import on

pytestmark = [pytest.mark.live, pytest.mark.timeout(300), pytest.mark.usefixtures("old_client")]

everywhere = on(lambda kind: kind.name in {"multithreaded", "eventlet", "eventlet_patched"}, middleware=(True, False))
each_version = pytest.mark.parametrize("version", VERSIONS)


@everywhere
@each_version
def test_echo(server, version):
    """Guards messages both ways: ASCII, UTF-8, empty, and more than 16 bits can count; then the client's goodbye."""
    path = f"/echo/old-{version}-{server.middleware}/"
    texts = ["Hello", "Grüße ☃ 𝄞", "", "x" * 70_000, "é☃𝄞 " * 7_000, "goodbye"]
    with OldClient(server, path, version) as client:
        for text in texts:
            assert client.ask(text) == text
        client.close()
    assert server.ended(path)["code"] == (1000 if version in {13, 8} else 1005)


@everywhere
@each_version
def test_echo_of_many(server, version):
    """Guards messages that are sent before the answers to others have come: all come back, in order."""
    texts = [f"message {number} ☃" for number in range(200)]
    with OldClient(server, "/echo/", version) as client:
        for text in texts:
            client.send(text)
        assert [client.next() for _ in texts] == texts
        client.close()


@everywhere
@each_version
def test_goodbye_behind_messages(server, version):
    """Guards messages in front of the client's goodbye: the view gets them all."""
    path = f"/collect/old-{version}-{server.middleware}/"
    with OldClient(server, path, version) as client:
        for text in ("one", "", "drei ☃"):
            client.send(text)
        client.close()
    end = server.ended(path)
    assert end["messages"] == ["one", "", "drei ☃"]
    assert end["code"] == (1000 if version in {13, 8} else 1005)


@everywhere
@each_version
def test_views_of_the_documentation(server, version):
    """Guards the three views of the documentation, and the server's goodbye at the end of the first."""
    with OldClient(server, "/echo_once/", version) as client:
        assert client.ask("once ☃") == "once ☃"
        client.ended()
    with OldClient(server, "/lower_case/", version) as client:
        assert [client.ask(text) for text in ("ABC", "ÉÀ", "")] == ["abc", "éà", ""]
        client.close()
    with OldClient(server, "/add_one/", version) as client:
        assert [client.ask(text) for text in ("1", "-1", "41")] == ["2", "0", "42"]
        client.close()


@everywhere
@each_version
def test_version(server, version):
    """Guards that the view is told the version, whichever way the client's handshake says it."""
    with OldClient(server, "/version/", version) as client:
        assert client.next() == str(version)
        client.send("done")
        client.ended()


@everywhere
@each_version
def test_view_closes(server, version):
    """Guards the view's own goodbye, and the client's answer to it."""
    path = f"/close/old-{version}-{server.middleware}/"
    with OldClient(server, path, version) as client:
        client.send("4001 enough")
        client.ended(4001)
    assert server.ended(path)["code"] == (4001 if version in {13, 8} else 1005)


@everywhere
@each_version
def test_view_fails(server, version):
    """Guards an exception in the view: the old client sees a goodbye, too."""
    server.expect("RuntimeError('after the handshake')")
    with OldClient(server, f"/fail/old-{version}-{server.middleware}/", version) as client:
        client.send("go")
        client.ended(1011)
