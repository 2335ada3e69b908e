"""The fuzzing of ``lab/fuzzing/``: a short run of each target, and whether it finds planted mistakes."""

import importlib
import itertools
import re
import time
from pathlib import Path

import pytest

from django_websocket.exceptions import HandshakeError
from django_websocket.protocols.base import Compression, State
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455
from lab.fuzzing import guided, mutation, peers, streams, timing
from lab.fuzzing.__main__ import main
from lab.fuzzing.frames import BUILT_SEEDS, build
from lab.fuzzing.targets import NAMES, Target, answers, compiled_core, extensions, load, origins, requests
from lab.fuzzing.twin import Twin
from tests.promptness import within

ROOT = Path(__file__).parents[3]


def test_every_module_with_a_target_is_run():
    modules = {path.stem for path in (ROOT / "lab/fuzzing/targets").glob("*.py")} - {"__init__"}
    assert set(NAMES) == modules
    readme = (ROOT / "lab/fuzzing/README.rst").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"``{name}``" not in readme] == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found_in_a_moment(name, tmp_path):
    target = load(name)
    assert target.invariant.endswith(".")
    result = mutation.fuzz(target, 0.2, seed=1, directory=tmp_path)
    assert [reason for _, reason in result.findings] == []
    assert result.executions >= len(target.seeds)
    # With fewer outcomes most of the seeds would be useless.
    assert result.outcomes > 5


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("data", BUILT_SEEDS[:1])
def test_frames_are_built(data, masked):
    if masked:
        # The parser of sent frames can read them, masked.
        assert streams.split_frames(build(data, masked=True), masked=True) == [
            (0x81, b"Hello"),
            (0x82, b"abc"),
            (0x88, b"\x03\xe8bye"),
        ]
    else:
        assert build(data, masked=False) == b"\x81\x05Hello\x82\x03abc\x88\x05\x03\xe8bye"


# Planted mistakes


class Raising:
    def receive(self, data):
        if b"Hello" in data:
            raise IndexError("planted")
        return super().receive(data)


class Keeping:
    def receive(self, data):
        self.received = getattr(self, "received", b"") + data
        return super().receive(data)


class Splitting:
    """Loses the messages that end in a piece of one byte."""

    def receive(self, data):
        messages = super().receive(data)
        return [] if len(data) == 1 else messages


class Impatient:
    """Fails at once, even if errors are to be deferred."""

    def _fail(self, error):
        self._fail_now(error)
        self.close_reason = f"{self.defers_end}"


class Reopening:
    def receive(self, data):
        messages = super().receive(data)
        if not data:
            self.state = State.OPEN
        return messages


class Talking:
    def receive(self, data):
        messages = super().receive(data)
        if self.state is State.CLOSED and not data:
            self.outgoing.append(b"more")
        return messages


@pytest.mark.parametrize("mistake", [Raising, Keeping, Splitting, Impatient, Reopening, Talking])
@pytest.mark.parametrize("name", ["server_frames", "client_frames", "hixie75", "hixie76"])
def test_a_mistake_in_a_protocol_is_found(name, mistake, monkeypatch, tmp_path):
    for protocol in (RFC6455, Hixie75, Hixie76):
        monkeypatch.setattr(peers, protocol.__name__, type(protocol.__name__, (mistake, protocol), {}))
    # The mistake keeps more than this in addition to a message.
    monkeypatch.setattr(streams, "SLACK", 512)
    target = load(name)
    if mistake is Keeping:
        # All options are tried, because with some of them there is no limit.
        target = Target(name, target.run, [bytes([options, 7]) + bytes(4000) for options in range(64)], (), "")
    assert mutation.fuzz(target, 0, seed=1, directory=tmp_path).findings


@pytest.mark.parametrize(
    ("data", "masked"),
    [
        (b"\x81\x01", False),
        (b"\x81\x01a", True),
        (b"\x81\x81\0\0\0\0a", False),
        (b"\x81\x7e\0\1a", False),
        (b"\xa1\x01a", False),
        (b"\x01\x01a", False),
        (b"\x88\x00\x81\x01a", False),
        (b"\x8a\x7e\0\x7e" + bytes(126), False),
        (b"\xca\x00", False),
    ],
)
def test_invalid_frames_that_are_sent_are_found(data, masked):
    with pytest.raises(AssertionError):
        streams.split_frames(data, masked=masked)


def test_a_request_that_is_repeated_unchecked_is_found(monkeypatch):
    data = bytes([4]) + requests._OLDER.replace(b"http://example.com", b"http://example.com\r\rX: 1")
    assert requests.run(data) == "the Origin header is missing or malformed"
    monkeypatch.setattr("django_websocket.protocols.hixie75.check_reflected", lambda value, name: value)
    with pytest.raises(AssertionError):
        requests.run(data)


def test_a_refusal_that_repeats_the_request_is_found(monkeypatch):
    def refuse(request, protocols):
        raise HandshakeError(f"no good: {request.headers['origin']}")

    monkeypatch.setattr(requests, "choose", refuse)
    with pytest.raises(AssertionError):
        requests.run(bytes([4]) + requests._OLDER + b"origin: \r\n")


@pytest.mark.parametrize("mistake", [Raising, Splitting])
def test_a_mistake_about_an_answer_is_found(mistake, monkeypatch, tmp_path):
    broken = tuple(type(protocol.__name__, (mistake, protocol), {}) for protocol in answers.PROTOCOLS)
    monkeypatch.setattr(answers, "PROTOCOLS", broken)
    seeds = [seed.replace(b"\x81\x02hi", b"\x81\x05Hello") for seed in answers.SEEDS]
    assert mutation.fuzz(Target("answers", answers.run, seeds, (), ""), 0, seed=1, directory=tmp_path).findings


def test_an_agreement_to_what_was_not_offered_is_found(monkeypatch):
    header = "permessage-deflate; server_max_window_bits=10"
    compression = Compression(window_bits=15)
    assert extensions.agreed(header, compression).endswith("server_max_window_bits=10")
    original = extensions.choose_offer
    monkeypatch.setattr(
        extensions, "choose_offer", lambda value, compression: original("permessage-deflate", compression)
    )
    with pytest.raises(AssertionError, match="is no answer"):
        extensions.agreed(header, compression)


@pytest.mark.parametrize("name", ["parse_tokens", "parse_extensions", "parse_head"])
def test_a_header_that_raises_something_else_is_found(name, monkeypatch, tmp_path):
    def fail(*arguments):
        raise KeyError("planted")

    monkeypatch.setattr(extensions, name, fail)
    assert mutation.fuzz(load("extensions"), 0, seed=1, directory=tmp_path).findings


@pytest.mark.parametrize(
    "origin",
    [
        b"https://example.com@evil.example",
        b"https://evilexample.com",
        b"https://example.com.evil.example",
        b"http://example.com",
        b"https://example.com:444",
        b"null",
    ],
)
def test_an_origin_that_should_not_be_let_in_is_found(origin, monkeypatch):
    data = bytes([1]) + origin
    assert origins.run(data).startswith("the Origin")
    monkeypatch.setattr(origins, "check_origins", lambda *arguments, **options: None)
    with pytest.raises(AssertionError, match="was let in"):
        origins.run(data)


def test_backtracking_is_found():
    value = "a" * 20 + "!"
    timing.check_linear(lambda: re.fullmatch("a+", value), len(value))
    with pytest.raises(AssertionError, match="21 characters"):
        timing.check_linear(lambda: re.fullmatch("(a|a)+", value), len(value))


# Compiled code and its twin


@pytest.mark.parametrize(
    ("name", "part", "mistake"),
    [
        ("compiled_frames", "apply_mask", lambda masked: masked[:-1]),
        ("compiled_frames", "deliver", lambda outcome: outcome._replace(pong=b"planted")),
        ("compiled_core", "converse", lambda outcome: outcome._replace(messages=outcome.messages[:-1])),
        ("compiled_core", "converse", lambda outcome: outcome._replace(sent=b"\x88\x00")),
        ("compiled_core", "converse", lambda outcome: outcome._replace(code=4000)),
    ],
)
def test_a_difference_is_found(name, part, mistake, monkeypatch, tmp_path):
    """The twin is a process of its own, in which the mistake is not planted."""
    module = importlib.import_module(f"lab.fuzzing.targets.{name}")
    original = getattr(module, part)
    monkeypatch.setattr(module, part, lambda *arguments: mistake(original(*arguments)))
    # All of the stream is received, echoed, and answered by Close.
    seed = bytes([0x0A, 0, 7]) + BUILT_SEEDS[0] if name == "compiled_core" else bytes([0x08, 7]) + BUILT_SEEDS[0]
    target = Target(name, load(name).run, [seed], (), "")
    ((_, reason),) = mutation.fuzz(target, 0, seed=1, directory=tmp_path).findings
    assert "in Python: " in reason


def test_a_difference_between_reads_is_found(monkeypatch, tmp_path):
    def essence(pieces, view):
        return f"{len(pieces)} pieces"

    monkeypatch.setattr(compiled_core, "essence", essence)
    target = Target("compiled_core", compiled_core.run, [bytes([0x0A, 0, 7]) + BUILT_SEEDS[0]], (), "")
    ((_, reason),) = mutation.fuzz(target, 0, seed=1, directory=tmp_path).findings
    assert "in pieces: " in reason


def test_the_twin_answers_as_long_as_it_runs():
    twin = Twin("compiled_frames")
    data = bytes([0x08, 7]) + BUILT_SEEDS[0]
    first = twin.outcome(data)
    assert "Hello" in first
    assert first == twin.outcome(data)
    twin._process.stdin.close()
    twin._process.wait(20)
    with pytest.raises((EOFError, ValueError)):
        twin.outcome(data)
    twin._process.stdout.close()
    twin._process = None
    # It can be started again.
    assert first == twin.outcome(data)
    twin.stop()
    twin.stop()


# The engines


def test_a_finding_is_saved_and_can_be_run_again(tmp_path, capsys):
    def run(data):
        if b"\xff" in data:
            raise ValueError("planted")
        return "good"

    target = Target("planted", run, [b"seed"], [b"\xff"], "Nothing.")
    result = mutation.fuzz(target, 0.5, seed=1, directory=tmp_path)
    # Findings of the same kind are saved once.
    ((path, reason),) = result.findings
    assert b"\xff" in path.read_bytes()
    assert "ValueError: planted" in reason
    assert result.outcomes == 1
    finding = tmp_path / "finding"
    finding.write_bytes(b"\x01https://example.com")
    assert main(["--replay", str(finding), "origins"]) == 0
    assert "let in by 1" in capsys.readouterr().out
    assert main(["--replay", str(finding)]) == 2


def test_a_target_that_fails_everywhere_is_left(tmp_path):
    lines = itertools.count()

    def run(data):
        exec(compile("\n" * next(lines) + "raise ValueError", "planted", "exec"))

    target = Target("planted", run, [b"%d" % index for index in range(100)], (), "Nothing.")
    result = mutation.fuzz(target, 60, seed=1, directory=tmp_path)
    assert len(result.findings) == result.executions == mutation.MAX_FINDINGS


def test_a_parser_that_does_not_end_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(mutation, "MAX_TIME", 0.1)

    def run(data):
        while data:
            pass
        return "ended"

    target = Target("planted", run, [b"endless", b""], (), "Nothing.")
    ((path, reason),) = mutation.fuzz(target, 0, seed=1, directory=tmp_path).findings
    assert path.read_bytes() == b"endless"
    assert "TimeoutError" in reason


def test_the_same_seed_makes_the_same_inputs(tmp_path):
    def inputs(seed):
        seen = []

        def run(data):
            seen.append(data)
            if len(seen) == 50:
                raise SystemExit
            return str(len(data))

        target = Target("planted", run, [b"one seed", b"another"], [b"word"], "Nothing.")
        with pytest.raises(SystemExit):
            mutation.fuzz(target, 60, seed=seed, directory=tmp_path)
        return seen

    assert inputs(1) == inputs(1)
    assert inputs(1) != inputs(2)


LIBFUZZER = """INFO: Seed: 1
#43	INITED cov: 284 ft: 340 corp: 11/1548b exec/s: 0 rss: 48Mb
#330	NEW    cov: 290 ft: 433 corp: 39/5529b lim: 214 exec/s: 330 rss: 48Mb L: 214/214
"""
CRASH = """
 === Uncaught Python exception: ===
AssertionError: planted
==22963== ERROR: libFuzzer: fuzz target exited
artifact_prefix='/tmp/f/x-'; Test unit written to /tmp/f/x-crash-1
"""


def test_reads_what_libfuzzer_prints():
    done = guided.parse(LIBFUZZER, 0)
    assert (done.executions, done.coverage, done.findings, done.failure) == (330, 290, [], "")
    crashed = guided.parse(LIBFUZZER + CRASH, 77)
    ((path, reason),) = crashed.findings
    assert path == Path("/tmp/f/x-crash-1")
    assert reason.startswith("=== Uncaught")
    assert reason.endswith("planted\n")
    assert crashed.failure == ""
    assert "no such module" in guided.parse("no such module", 1).failure


def test_words_are_spelled_for_libfuzzer():
    assert guided.escape(b'\r"') == "\\x0d\\x22"


def test_atheris_fuzzes_a_target(tmp_path, capsys):
    pytest.importorskip("atheris")
    arguments = ["--engine", "atheris", "--seconds", "1", "--findings", str(tmp_path), "origins"]
    assert main([*arguments, "--corpus", str(tmp_path / "corpus")]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^origins +[0-9,]+ executions, coverage [0-9]+, 0 findings$", out, re.MULTILINE), out
    assert len(list((tmp_path / "corpus/origins").iterdir())) >= len(load("origins").seeds)


def test_the_command_line(tmp_path, capsys):
    began = time.monotonic()
    arguments = ["--engine", "mutation", "--seed", "1", "--seconds", "0.1", "--findings", str(tmp_path)]
    assert main([*arguments, "origins", "requests"]) == 0
    assert within(time.monotonic() - began, 30)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "0.1 s for each target, with mutation, --seed 1"
    assert [line.split()[0] for line in lines] == ["origins", "requests"]
    assert all(re.search(r"[0-9,]+ executions, [0-9]+ outcomes, 0 findings$", line) for line in lines)
    assert main(["no_such_target"]) == 2


def test_the_command_line_reports_a_finding(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(origins, "check_origins", lambda *arguments, **options: None)
    arguments = ["--engine", "mutation", "--seconds", "0", "--findings", str(tmp_path), "origins"]
    assert main(arguments) == 1
    out = capsys.readouterr().out
    assert "1 findings" in out
    assert "was let in" in out


def test_atheris_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr(guided, "available", lambda: False)
    assert main(["--engine", "atheris", "origins"]) == 2
    assert "not installed" in capsys.readouterr().err
