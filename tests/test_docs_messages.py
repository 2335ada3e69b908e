"""Every text by which the package says that something is wrong has an anchor in the documentation, and a remedy there.

The texts are found in the source of the package, by where they are used: lines in the log from WARNING on, refusals of
handshakes, errors of the protocol, reasons in a Close, and why a connection was lost. What varies in a text is an
ellipsis here. The anchor follows from the text, so that whoever has the text has the anchor: ``message-`` and the first
words that do not vary.
"""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import django_websocket

from .test_docs import ROOT

PACKAGE = Path(django_websocket.__file__).parent
#: Folders whose texts are for developers, who get them as exceptions or reports of their own.
ELSEWHERE = {"doctor": "tests/doctor/test_verdicts_docs.py", "testing": "failures of tests"}
PAGES = ["troubleshooting.rst", "messages.rst"]

#: What varies in a text.
VARIES = "…"
#: How many words of a text are in its anchor.
WORDS = 8

#: Methods of loggers whose lines somebody should see.
LOUD = {"warning", "error", "exception", "critical"}
#: The calls that take a text, and which of their arguments it is.
CALLS = {
    "HandshakeError": 0,
    "SocketNotFound": 0,
    "unavailable": 0,
    "ProtocolError": 0,
    "InvalidData": 0,
    "MessageTooBig": 0,
    "PolicyViolation": 0,
    "_abort": 0,
    "_log": 1,
    "WARNING": 0,
    "Rejection": 1,
    "request_close": 1,
    "Closing": 3,
}
#: Functions that return texts, or lists of them.
FUNCTIONS = {"reason_to_close", "warnings_for"}
#: Texts that consist of another one, which is found by itself, and of nothing that says what is wrong.
WRAPPERS = {
    "WebSocket … …",
    "WebSocket refused with … at …: ………",
    "WebSocket refused with … at ……",
    "django-websocket: …",
    "lost: …",
    "failed with …: …",
    "Group …: …",
}
#: Arguments that are no texts, because a text that was found elsewhere is passed on.
PASSED_ON = {
    ("groups/mailbox.py", "reason"),
    ("groups/members.py", "reason"),
    ("handshake/responses.py", "reason"),
    ("middleware/upgrade.py", "str(error)"),
    ("process/registry.py", "closing.reason"),
}


class Text:
    """A text of the package: where it is, and how it reads, with an ellipsis for what varies."""

    def __init__(self, place: str, template: str) -> None:
        self.place = place
        self.template = template

    @property
    def anchor(self) -> str:
        return anchor_of(self.template)

    def __repr__(self) -> str:
        return f"{self.place}: {self.template}"


def anchor_of(template: str) -> str:
    """Return the anchor of a text."""
    words = re.findall(r"[a-z0-9]+", template.partition(" (")[0].replace("'", "").lower())
    return "-".join(["message", *words[:WORDS]])


class Source:
    """A module of the package."""

    def __init__(self, path: Path) -> None:
        self.place = path.relative_to(PACKAGE).as_posix()
        self._name = f"{PACKAGE.name}.{self.place.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")
        self._tree = ast.parse(path.read_text(encoding="utf-8"))

    def texts(self) -> Iterator[Text]:
        for node in self._nodes():
            template = self._template(node)
            if template:
                yield Text(self.place, template)

    def passed_on(self) -> Iterator[str]:
        """Yield the arguments that take the place of a text without being one."""
        for node in self._nodes():
            if self._template(node) is None:
                yield ast.unparse(node)

    def _nodes(self) -> Iterator[ast.expr]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                yield from arguments_of(node)
            elif isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS:
                yield from strings_in(node)
            elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and is_close_code(node.elts[0]):
                yield node.elts[1]

    def _template(self, node: ast.expr) -> str | None:
        match node:
            case ast.Constant(value=str(text)):
                return re.sub(r"%[.\d]*[a-z]", VARIES, text)
            case ast.JoinedStr(values=parts):
                return "".join(self._template(part) or VARIES for part in parts)
            case ast.FormattedValue(value=value):
                return self._template(value)
            case ast.Name(id=name) if name.lstrip("_").isupper():
                value = getattr(import_module(self._name), name)
                return str(value)
        return None


def arguments_of(call: ast.Call) -> Iterator[ast.expr]:
    """Yield the arguments of a call that are texts."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    position = CALLS.get(name)
    if isinstance(call.func, ast.Attribute) and is_logger(call.func.value):
        position = 0 if name in LOUD else 1 if name == "log" else None
    if position is None or len(call.args) <= position or isinstance(call.args[0], ast.Starred):
        return
    if name == "_log" and (ast.unparse(call.func) != "self._log" or ast.unparse(call.args[0]) == "logging.INFO"):
        return
    argument = call.args[position]
    yield from [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]


def is_logger(node: ast.expr) -> bool:
    return ast.unparse(node).rpartition(".")[2] in {"logger", "log", "connection_logger"}


def is_close_code(node: ast.expr) -> bool:
    return re.fullmatch(r"CloseCode\.\w+|UNAUTHORIZED|FORBIDDEN|10[01]\d", ast.unparse(node)) is not None


def strings_in(function: ast.FunctionDef) -> Iterator[ast.expr]:
    """Yield the sentences in a function, without its docstring."""
    inside = {id(part) for node in ast.walk(function) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for statement in function.body[1:]:
        for node in ast.walk(statement):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
            if isinstance(node, ast.JoinedStr) or (is_text and id(node) not in inside):
                yield node


def sources() -> list[Source]:
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in ELSEWHERE]
    return [Source(path) for path in paths]


SOURCES = sources()
FOUND = [text for source in SOURCES for text in source.texts()]
TEXTS = [text for text in FOUND if text.template not in WRAPPERS]

LABEL = re.compile(r"\.\. _(message-[a-z0-9-]+):")
UNDERLINE = re.compile(r"=+|-+")


def entries(page: str) -> Iterator[tuple[str, str]]:
    """Yield each label of a page with what stands there: an entry of a definition list, or a section."""
    lines = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        label = LABEL.fullmatch(line)
        if label:
            yield label[1], " ".join(" ".join(block_behind(lines[number:])).split())


def block_behind(lines: list[str]) -> list[str]:
    """Return the first entry, or section, behind the labels that lines begin with."""
    first = next(number for number, line in enumerate(lines) if line and not line.startswith(".. _"))
    body = lines[first + 1 :]
    if UNDERLINE.fullmatch(body[0]):
        ends = (number for number, line in enumerate(body[1:]) if UNDERLINE.fullmatch(line))
        return [lines[first], *body[: next(ends, len(body))]]
    ends = (number for number, line in enumerate(body) if line and not line.startswith(" "))
    return [lines[first], *body[: next(ends, len(body))]]


ENTRIES = [(label, block) for page in PAGES for label, block in entries(page)]


def pattern_of(template: str) -> str:
    """Return the pattern of what a text may become."""
    return ".+?".join(map(re.escape, re.split(f"{VARIES}+", template.rstrip(VARIES))))


def explains(block: str, template: str) -> bool:
    """Return whether an entry quotes a text: as it is in the source, as it was written once, or both at a time."""
    quoted = re.findall(r"``(.+?)``", block)
    return re.search(pattern_of(template), block) is not None or any(
        VARIES in text and re.fullmatch(pattern_of(text), template) for text in quoted
    )


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_every_text_is_explained_at_its_anchor(text):
    (block,) = [block for label, block in ENTRIES if label == text.anchor]
    assert explains(block, text.template)


def test_every_anchor_is_that_of_a_text():
    labels = [label for label, _ in ENTRIES]
    assert len(labels) == len(set(labels))
    assert set(labels) == {text.anchor for text in TEXTS}


def test_every_entry_says_more_than_the_text():
    """A cause or a remedy: a sentence at least."""
    for label, block in ENTRIES:
        assert len(re.sub(r"``.+?``", "", block).split()) > 1, label


def test_nothing_else_takes_the_place_of_a_text():
    """A text that is made in another way would be found nowhere."""
    assert {(source.place, text) for source in SOURCES for text in source.passed_on()} == PASSED_ON


def test_every_wrapper_is_there():
    assert {text.template for text in FOUND} >= WRAPPERS


def test_the_rule_is_that_of_the_page():
    page = (ROOT / "docs" / "messages.rst").read_text(encoding="utf-8")
    assert f"``#{anchor_of('a message is too big')}``" in page
    assert (WORDS, "its first eight words" in " ".join(page.split())) == (8, True)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('logger.warning("A: %s", x)', ["A: …"]),
        ('logger.log(level, "A %d" "B")', ["A …B"]),
        ('logger.info("A")', []),
        ('self.log.error("A")', ["A"]),
        ('raise HandshakeError(f"the {name} is", status=403)', ["the … is"]),
        ('raise ProtocolError("A" if x else "B")', ["A", "B"]),
        ('self._log(logging.WARNING, f"A {x}")', ["A …"]),
        ('self._log(logging.INFO, "A")', []),
        ('x = CloseCode.POLICY_VIOLATION, "A"', ["A"]),
        ('x = (1012, "A")', ["A"]),
        ('def warnings_for():\n    """A b."""\n    return [f"C {d} e", "F g", "h"]', ["C … e", "F g"]),
    ],
)
def test_a_text_is_found(tmp_path, monkeypatch, source, expected):
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    (tmp_path / "module.py").write_text(source, encoding="utf-8")
    assert [text.template for text in Source(tmp_path / "module.py").texts()] == expected


@pytest.mark.parametrize(
    ("block", "template", "expected"),
    [
        ("``a message is too big`` Raise it.", "a message is too big", True),
        ("``WebSocket refused with 400 at /room/: the Host is odd (x)``", "the Host is odd", True),
        ("``the … header is too long``", "the Sec-WebSocket-Extensions header is too long", True),
        ("``the … header is too long``", "the … header is too short", False),
        ("``…``", "anything", False),
        ("``Group 'news': 17 messages were lost``", "Group …: … messages were lost", True),
        ("``Group 'news': messages were lost``", "Group …: … messages were lost", False),
    ],
)
def test_an_entry_explains_a_text(block, template, expected):
    assert explains(block, template) is expected
