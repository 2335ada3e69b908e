"""Groups within one process, on every server: who gets a message, and what becomes of a member that does not read."""

from contextlib import ExitStack

import pytest

from lab.kinds import KINDS, TLS_KINDS
from lab.servers import eventually

from .clients import Old, Raw
from .parameters import on
from .test_echo import VERSIONS

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

#: More than a member may leave unread, and the buffers of the system hold.
MESSAGES, SIZE = 400, 65_536


@on(lambda kind: kind.concurrent, tls=True)
def test_everybody_gets_everything(server):
    """Guards each protocol version as publisher and as member, and the names of those who are there."""
    path = "/gather/everybody/?name="
    with ExitStack() as stack:
        members = []
        for number, (protocol, version) in enumerate(VERSIONS):
            members.append(stack.enter_context(Old(server, f"{path}{version}", protocol, version)))
            # Once it has an answer, it has joined.
            assert members[-1].ask(f"{number}") == f"{number}"
        for number, member in enumerate(members):
            # What those who came later have said.
            assert [member.next() for _ in members[number + 1 :]] == list("01234"[number + 1 :])
        for number, publisher in enumerate(members):
            texts = [f"{number} {count} ☃" for count in range(3)]
            for text in texts:
                publisher.protocol.send(text)
            publisher.flush()
            for member in members:
                assert [member.next() for _ in texts] == texts
        names = [str(version) for _, version in VERSIONS]
        while members:
            assert members[0].ask("who") == " ".join(sorted(names))
            for member in members[1:]:
                assert member.next() == " ".join(sorted(names))
            names.remove(str(members[-1].protocol.version))
            members.pop().close()


@pytest.mark.parametrize("kind", [kind for kind in (*KINDS, *TLS_KINDS) if kind.lead], ids=str)
def test_a_member_that_does_not_read(launch, kind):
    """Guards that it is closed with 1013 and nobody waits for it; the others get everything, in order."""
    server = launch(kind)
    path = "/gather/silent/"
    with Raw(server) as publisher, Raw(server) as reader, Raw(server) as silent:
        for count, client in enumerate((publisher, reader, silent)):
            client.open(path)
            client.send_frame(f"here {count}")
            assert client.message() == f"here {count}"
        assert reader.message() == "here 2"
        assert [publisher.message() for _ in range(2)] == ["here 1", "here 2"]
        for number in range(MESSAGES):
            text = f"{number} ".ljust(SIZE, "x")
            publisher.send_frame(text)
            assert publisher.message() == reader.message() == text
        # It reads on now: whole messages, and then the Close, unless its time for that is over.
        for number in range(MESSAGES):
            try:
                opcode, payload = silent.frame()
            except EOFError:
                break
            if opcode == 8:
                assert payload == (1013).to_bytes(2, "big") + b"too slow"
                break
            assert int(payload.split()[0]) == number
        else:
            pytest.fail("it was not closed")
        publisher.end()
        reader.end()
    eventually(lambda: "closed with 1013: the client does not keep up" in server.text)
