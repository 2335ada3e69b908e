"""What no client sends: nothing of it may stop the server, grow it, or get an answer that is not documented.

``MALFORMED_CONNECTIONS`` is how many connections each server gets; 500 unless said otherwise.
"""

import os
import random
import re
import socket

import pytest
from websockets.frames import Opcode

from .clients import Raw, close_frame, frame, handshake
from .parameters import on

NUMBER = int(os.environ.get("MALFORMED_CONNECTIONS", "500"))
#: Bytes that a server may grow by after it has seen a part of the same: allocators keep some.
GROWTH = 16 << 20

pytestmark = [pytest.mark.live, pytest.mark.timeout(120 + NUMBER)]

#: What servers, Django and we say to requests. Not 500: nothing that comes in is our mistake.
STATUSES = {101, 200, 301, 400, 403, 404, 405, 414, 431, 501, 505}
#: What we say to frames, or repeat after the client; 1011 has to be the client's own, as there is no error in the log.
CODES = {1000, 1001, 1002, 1003, 1005, *range(1007, 1015), *range(3000, 5000)}

OLD = {
    "Sec-WebSocket-Key": None,
    "Sec-WebSocket-Version": None,
    "Sec-WebSocket-Key1": "4 @1  46546xW%0l 1 5",
    "Sec-WebSocket-Key2": "12998 5 Y3 1  .P00",
}


def mutate(dice, data):
    """Change bytes, runs of bytes, or their order."""
    data = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 5])):
        if not data:
            break
        at = dice.randrange(len(data))
        size = dice.choice([1, 1, 4, 20])
        how = dice.randrange(5)
        if how == 0:
            data[at] = dice.randrange(256)
        elif how == 1:
            data[at] ^= 1 << dice.randrange(8)
        elif how == 2:
            del data[at : at + size]
        elif how == 3:
            data[at:at] = dice.randbytes(size)
        else:
            data[at:at] = data[at : at + size] * dice.choice([1, 2, 50])
    return bytes(data)


def random_bytes(dice, server):
    data = dice.randbytes(dice.choice([1, 10, 300, 3000]))
    return dice.choice([b"", b"GET /echo/ HTTP/1.1\r\n"]) + data + dice.choice([b"", b"\r\n\r\n"])


def broken_handshake(dice, server):
    headers = dice.choice([{}, {}, OLD, {"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Protocol": "a, b"}])
    data = handshake(server, dice.choice(["/echo/", "/echo/key/", "/plain/"]), headers)
    if dice.random() < 0.3:
        lines = data[:-4].split(b"\r\n")
        first, *rest = lines
        rest += dice.choices(rest, k=dice.randrange(3))
        dice.shuffle(rest)
        data = b"\r\n".join([first, *rest[: dice.randrange(len(rest) + 1)]]) + b"\r\n\r\n"
    else:
        data = mutate(dice, data)
    return data + dice.choice([b"", frame("behind"), b"^n:ds[4U", dice.randbytes(50)])


def broken_frames(dice, server):
    opcodes = [Opcode.TEXT, Opcode.BINARY, *Opcode]
    frames = [frame(dice.randbytes(dice.choice([0, 1, 2, 125])), dice.choice(opcodes)) for _ in range(3)]
    frames += [frame("whole ☃"), close_frame(dice.choice([1000, 1005, 3000, 65535]))]
    dice.shuffle(frames)
    return handshake(server, "/echo/") + mutate(dice, b"".join(frames))


def broken_old_frames(dice, server):
    frames = [
        b"\x00text\xff",
        b"\xff\x00",
        b"\x80" + b"\x80" * dice.choice([1, 30]),
        b"\x81\x05hello",
        b"\x00\xc3\xff",
        b"\x05ignored\xff",
        dice.randbytes(20),
    ]
    dice.shuffle(frames)
    return handshake(server, "/echo/", OLD) + b"^n:ds[4U" + mutate(dice, b"".join(frames))


MAKERS = [random_bytes, broken_handshake, broken_frames, broken_old_frames]


def exchange(server, data):
    """Send all, say that this is all, and give everything that comes."""
    with Raw(server) as client:
        try:
            client.send(data)
            client.sock.shutdown(socket.SHUT_WR)
            return client.rest()
        except ConnectionError:
            return None


def check(answer, modern):
    """See that an answer is a documented one."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] ([0-9]{3})", head)
    if status is None:
        # To what is no HTTP/1 they answer nothing, or something without a head.
        assert b"HTTP/" not in answer[:100].partition(b"\n")[0] or b"needs HTTP/1.1" in answer, answer[:200]
        return
    assert int(status[1]) in STATUSES, answer[:200]
    if int(status[1]) != 101:
        return
    assert b"HTTP/1" not in rest
    # Frames to the end; the last may be a Close.
    while modern and rest:
        assert rest[0] in {0x81, 0x82, 0x88, 0x8A}, rest[:20]
        size, start = rest[1], 2
        if size == 126:
            size, start = int.from_bytes(rest[2:4], "big"), 4
        if rest[0] == 0x88:
            code = int.from_bytes(rest[2:4], "big") if size else 1005
            assert code in CODES, code
            assert len(rest) == start + size, rest
        rest = rest[start + size :]


@on()
def test_malformed(server):
    """Guards the server against everything at once; see the module's first lines."""
    # Django's own word for a host that is not ours.
    server.tolerate("DisallowedHost", "BadRequest", "TooManyFields", "SuspiciousOperation")
    # It logs what it cannot parse, and goes on.
    server.tolerate_tracebacks("gevent/pywsgi.py")
    dice = random.Random(f"{server.kind.name} {NUMBER}")
    memory = None
    for number in range(NUMBER):
        maker = dice.choice(MAKERS)
        data = maker(dice, server)
        answer = exchange(server, data)
        if answer is not None:
            check(answer, maker is broken_frames)
        assert server.process.poll() is None, data
        if number == NUMBER // 4:
            memory = server.memory()
    server.idle()
    assert server.memory() - memory < GROWTH
    with Raw(server) as client:
        client.open("/echo/")
        client.send_frame("all is well")
        assert client.message() == "all is well"
        client.end()
