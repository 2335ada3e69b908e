"""Questions and answers between processes: they arrive as they were, and what nobody of this site wrote does not."""

import json
from datetime import timedelta

import pytest

from django_websocket.groups.backends.redis.questions import (
    ROLL_CALL,
    TEXT_SIZE,
    Answer,
    Question,
    read_answer,
    read_question,
    write_answer,
    write_question,
)
from django_websocket.groups.backends.redis.wire import Wire
from django_websocket.groups.payload import Payload
from django_websocket.groups.snapshot import LIMIT, Search, Snapshot, Totals

from ...infos import BEGINNING, make_info

ID = "0123456789abcdef" * 2
QUESTION = Question(ID, Search("room", ("1", "2"), "a/1"), 10)
SIGNED = Wire(b"sixteen bytes and more")

wires = pytest.mark.parametrize("wire", [Wire(None), SIGNED], ids=["without a secret", "with a secret"])


def make_answer(*infos):
    return Answer("abc/1", Snapshot("abc", "host", 7, 3, Totals(1, 2, 3, 4, 5), list(infos)))


ANSWER = make_answer(
    make_info(),
    make_info(
        route=None, user_id=None, subprotocol="chat", last_received=BEGINNING + timedelta(seconds=0.5), latency=0.25
    ),
)


@wires
@pytest.mark.parametrize("question", [QUESTION, Question(ID, Search(), LIMIT), Question(ID, Search(users=()), 0)])
def test_a_question(wire, question):
    assert read_question(wire, write_question(wire, question)) == question


@wires
def test_an_answer(wire):
    assert read_answer(wire, ID, write_answer(wire, ID, ANSWER)) == ANSWER


def test_without_the_secret_nothing_is_understood():
    for reader, writer in [(SIGNED, Wire(None)), (SIGNED, Wire(b"another secret, and long"))]:
        assert read_question(reader, write_question(writer, QUESTION)) is None
        assert read_answer(reader, ID, write_answer(writer, ID, ANSWER)) is None


def test_an_answer_is_of_use_for_one_question_only():
    """Guards against answers that somebody who can write to Redis repeats."""
    assert read_answer(SIGNED, ID[::-1], write_answer(SIGNED, ID, ANSWER)) is None


def test_a_message_of_a_group_is_no_question():
    assert (
        read_question(SIGNED, SIGNED.write("g", Payload("json", json.dumps([ID, 1, QUESTION.search._asdict()]))))
        is None
    )


def test_what_is_too_much_is_cut_off():
    long = "x" * TEXT_SIZE
    question = read_question(
        Wire(None), write_question(Wire(None), Question(ID, Search(long + "y", ("1",) * 101), 10**9))
    )
    assert question == Question(ID, Search(long, ("1",) * 100), LIMIT)
    answer = make_answer(*[make_info(path=long + "y")] * (LIMIT + 1))
    read = read_answer(Wire(None), ID, write_answer(Wire(None), ID, answer)).snapshot
    assert len(read.connections) == LIMIT
    assert read.connections[0].path == long


def test_fields_of_a_later_version_are_left_out():
    content = written(ANSWER)
    content["fields"].append("color")
    for row in content["rows"]:
        row.append("blue")
    content["weather"] = "fine"
    assert read(content) == ANSWER


def test_half_a_character_becomes_a_whole_one():
    content = written(make_answer(make_info(path="/\ud800/")))
    assert read(content).snapshot.connections[0].path == "/?/"


def written(answer):
    """Return the JSON of an answer."""
    return json.loads(Wire(None).read("", write_answer(Wire(None), ID, answer)).data)


def read(content):
    text = content if isinstance(content, str) else json.dumps(content)
    return read_answer(Wire(None), ID, Wire(None).write("", Payload("json", text)))


def replaced(path, value):
    content = written(ANSWER)
    *folders, last = path
    inner = content
    for folder in folders:
        inner = inner[folder]
    inner[last] = value
    return content


FIELDS = written(ANSWER)["fields"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "null",
        "[" * 50_000,
        "{}",
        *(
            replaced(path, value)
            for path, value in [
                (["sender"], None),
                (["pid"], "7"),
                (["pid"], True),
                (["open"], -1),
                (["open"], 1 << 63),
                (["rows", 0, FIELDS.index("bytes_sent")], 10**400),
                (["rows", 0, FIELDS.index("since")], 253402300799),
                (["rows", 0, FIELDS.index("since")], -1e9),
                (["totals"], []),
                (["totals", "connections"], 1.5),
                (["fields"], FIELDS[1:]),
                (["fields"], [*FIELDS[1:], "color"]),
                (["fields"], [[], *FIELDS[1:]]),
                (["rows"], None),
                (["rows", 0], []),
                (["rows", 0, FIELDS.index("path")], 1),
                (["rows", 0, FIELDS.index("version")], None),
                (["rows", 0, FIELDS.index("since")], None),
                (["rows", 0, FIELDS.index("since")], 1e300),
                (["rows", 0, FIELDS.index("since")], float("nan")),
                (["rows", 0, FIELDS.index("latency")], float("inf")),
                (["rows", 0, FIELDS.index("latency")], "soon"),
            ]
        ),
    ],
)
def test_an_answer_that_no_process_gives(content):
    assert read(content) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[" * 50_000,
        [ID, 1],
        [None, 1, {}],
        [ID[:-1], 1, QUESTION.search._asdict()],
        [f"{ID}\n", 1, QUESTION.search._asdict()],
        [ID, -1, QUESTION.search._asdict()],
        [ID, 1, {"text": "", "users": None}],
        [ID, 1, {"text": None, "users": None, "id": None}],
        [ID, 1, {"text": "", "users": "12", "id": 3}],
        [ID, 1, {"text": "", "users": 12, "id": None}],
    ],
)
def test_a_question_that_no_process_asks(content):
    text = content if isinstance(content, str) else json.dumps(content)
    assert read_question(Wire(None), Wire(None).write(ROLL_CALL, Payload("json", text))) is None
