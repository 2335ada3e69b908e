"""The documentation is true: its code runs, and its lists are complete."""

import ast
import re
import textwrap
import types
import unittest
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.db.models.signals import post_save
from django.test import SimpleTestCase, override_settings
from django.urls import path

from django_websocket import checks
from django_websocket.conf import MEMORY_BACKEND, SETTINGS, Conf, Setting
from django_websocket.groups.backends.redis import RedisBackend
from lab.kinds import KINDS, SOCKETLESS_KINDS, TLS_KINDS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))]


class Block(NamedTuple):
    """A code block. It is executed unless it has the option ``:class: fragment``; then it only has to compile."""

    page: str
    line: int
    source: str
    fragment: bool


def code_blocks(page: str, text: str, language: str = "python") -> Iterator[Block]:
    lines = text.splitlines()
    for number, line in enumerate(lines):
        directive = re.fullmatch(rf"( *)\.\. code-block:: {language}", line)
        if directive is None:
            continue
        body = []
        for follower in lines[number + 1 :]:
            if follower.strip() and not follower.startswith(directive[1] + " "):
                break
            body.append(follower)
        content = textwrap.dedent("\n".join(body)).split("\n")
        options = []
        while content and content[0].startswith(":"):
            options.append(content.pop(0))
        # The blank lines make the numbers in a traceback those of the page.
        source = "\n" * (number + 1 + len(options)) + "\n".join(content)
        yield Block(page, number + 1, source, ":class: fragment" in options)


BLOCKS = [
    pytest.param(
        block,
        id=f"{block.page}:{block.line}",
        marks=[pytest.mark.django_db(transaction=True)] if "TestCase" in block.source else [],
    )
    for page in PAGES
    for block in code_blocks(page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8"))
]


def run(block: Block) -> dict[str, Any]:
    """Return the names that a block defines."""
    names = {"__name__": "documented"}
    code = compile(block.source, str(ROOT / block.page), "exec")
    if not block.fragment:
        exec(code, names)
    return names


def is_test_case(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, SimpleTestCase) and value.__module__ == "documented"


@pytest.fixture
def post_save_receivers():
    """Disconnect the receivers that blocks connect; one of another test would keep one with its id away."""
    before = list(post_save.receivers)
    yield
    with post_save.lock:
        post_save.receivers = before
        post_save.sender_receivers_cache.clear()


@pytest.mark.usefixtures("post_save_receivers")
@pytest.mark.parametrize("block", BLOCKS)
def test_the_code_runs(block):
    """Classes of tests are run too, against the views of the other blocks."""
    for test_case in filter(is_test_case, run(block).values()):
        with override_settings(ROOT_URLCONF=documented_urls()):
            result = unittest.TestResult()
            unittest.defaultTestLoader.loadTestsFromTestCase(test_case).run(result)
        assert result.testsRun
        assert [text for _, text in result.errors + result.failures] == []


def documented_urls() -> types.ModuleType:
    """Return a URLconf with the documented views, each under its name."""
    views = {}
    for parameter in BLOCKS:
        (block,) = parameter.values
        if "_websocket" in block.source:
            views.update(run(block))
    urls = types.ModuleType("documented_urls")
    urls.urlpatterns = [
        path("announcement/", views["announcement"]),
        path("chat_room/", views["chat_room"]),
        path("countdown/", views["countdown"]),
        path("inbox/", views["inbox"]),
        path("lower_case/", views["lower_case"]),
        path("noticeboard/", views["noticeboard"]),
        path("notifications/", views["notifications"]),
        path("room/<str:name>/", views["room"]),
    ]
    return urls


def test_code_blocks():
    text = textwrap.dedent(
        """
        .. code-block:: python

            one = 1

            two = 2

        Text.

        .. code-block:: bash

            not python

        * item

          .. code-block:: python
              :caption: A title
              :class: fragment

              three
        """
    )
    first, second = code_blocks("page", text)
    assert (first.line, first.source.strip(), first.fragment) == (2, "one = 1\n\ntwo = 2", False)
    assert (second.line, second.source.strip(), second.fragment) == (16, "three", True)
    assert text.splitlines()[second.source.count("\n", 0, second.source.index("three"))].strip() == "three"


def commands(marker: str) -> list[str]:
    """Return the lines of the bash block behind the comment ``marker`` of README.rst."""
    text = (ROOT / "README.rst").read_text(encoding="utf-8")
    _, found, rest = text.partition(f"\n.. {marker}\n")
    assert found
    return next(code_blocks("README.rst", rest, "bash")).source.strip().splitlines()


def test_there_is_one_command_to_run_it_and_one_to_test_it():
    (run,) = commands("run-command")
    (test,) = commands("test-command")
    assert run.endswith("example_project/manage.py runserver --multithreaded")
    assert test.endswith("tox")


def installations() -> list[str]:
    """Return what the documentation tells to install by pip, with the page."""
    return [
        f"{block.page}: {argument}"
        for page in [*PAGES, ROOT / "CONTRIBUTING.rst"]
        for block in code_blocks(page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8"), "bash")
        for command in re.findall(r"-m pip install (.*?)(?: &&|$)", block.source, re.MULTILINE)
        for argument in command.split()
        if argument not in {"-q", "-e"}
    ]


def test_what_is_installed_is_there():
    """The name on the package index is that of the package of 2010, so that the package is installed from a clone."""
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    extras = set()
    for what in installations():
        name, _, extra = what.partition(": ")[2].strip('"').partition("[")
        assert name in {".", "gunicorn", "prometheus-client", "redis", "tox", "tox-uv", "websockets"}, what
        extras.update(filter(None, extra.removesuffix("]").split(",")))
    assert {"README.rst: .", "docs/quickstart.rst: ."} <= set(installations())
    for extra in extras:
        assert re.search(rf'"{extra}"[:\]]', setup), extra


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_is_named_is_there(page):
    """The files of the repository, which a page names by their paths."""
    named = re.findall(r"``((?:tests|lab|example_project)/[\w./-]+)``", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def documented_settings() -> dict[str, str]:
    text = (ROOT / "docs" / "settings.rst").read_text(encoding="utf-8")
    return dict(re.findall(r"^    \* - ``(WEBSOCKET_\w+)``\n      - (.+)$", text, re.MULTILINE))


def test_every_setting_is_documented_with_its_default():
    settings = {setting.name: setting for setting in SETTINGS}
    documented = documented_settings()
    assert list(documented) == list(settings)
    assert documented.pop("WEBSOCKET_PROTOCOLS") == "all three"
    assert documented.pop("WEBSOCKET_GROUPS") == "memory"
    assert settings["WEBSOCKET_GROUPS"].default == {"default": {"BACKEND": MEMORY_BACKEND}}
    for name, default in documented.items():
        assert ast.literal_eval(default.strip("`")) == settings[name].default


def test_every_option_is_documented():
    text = (ROOT / "docs" / "views.rst").read_text(encoding="utf-8")
    section = text.partition("\nOptions\n=======\n")[2].partition("\n====")[0]
    options = {setting.attribute for setting in SETTINGS if setting.per_view} | {"subprotocols"}
    assert options <= set(re.findall(r"``(\w+)``", section))


def test_every_check_is_documented():
    modules = [path for path in Path(checks.__file__).parent.glob("*.py") if path.name != "__init__.py"]
    source = "".join(path.read_text(encoding="utf-8") for path in modules)
    table = re.findall(r"^([EWI]\d{3})  ", checks.__doc__, re.MULTILINE)
    assert len(table) == len(set(table))
    written = set(re.findall(r"""["'.]([EWI]\d{3})["']""", source))
    assert set(table) == written | {setting.check_id for setting in SETTINGS}


def documented_limits() -> list[tuple[str, str, str, str]]:
    """Return default, name, and where the proof is: file and function."""
    text = (ROOT / "docs" / "security.rst").read_text(encoding="utf-8")
    table = text.partition("\n.. limits\n")[2].partition("\n\nWith hixie-75")[0]
    rows = [re.split(r"\n      - ", row) for row in table.split("\n    * - ")[2:]]
    assert rows
    limits = []
    for _, default, name, _, proof in rows:
        file, function = re.findall("``([^`]+)``", proof)
        limits.append((default, name.strip("`"), file, function))
    return limits


@pytest.mark.parametrize(("default", "name", "file", "function"), documented_limits())
def test_every_limit_is_what_it_is_documented_to_be(default, name, file, function):
    if name.startswith("OPTIONS."):
        _, value = RedisBackend.option_names[name.removeprefix("OPTIONS.")]
    elif name.startswith("WEBSOCKET_"):
        value = getattr(Conf, name.removeprefix("WEBSOCKET_").lower()).default
    else:
        module, _, constant = name.rpartition(".")
        value = getattr(import_module(f"django_websocket.{module}"), constant)
    assert value == ast.literal_eval(default)
    assert re.search(rf"^ *def {function}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_limit_of_the_settings_is_documented():
    numbers = {setting.name for setting in SETTINGS if is_limit(setting)}
    documented = {name for _, name, _, _ in documented_limits() if name.startswith("WEBSOCKET_")}
    assert documented == numbers


def is_limit(setting: Setting[Any]) -> bool:
    """Return whether a number may be set."""
    try:
        return setting.validate(1) == 1
    except (TypeError, ValueError):
        return False


def name_of(kind: Any) -> str:
    """Return what the documentation has to call a kind of server."""
    arguments = kind.arguments
    if "--worker-class" in arguments:
        return f"gunicorn -k {arguments[arguments.index('--worker-class') + 1]}"
    if arguments[:2] == ("-m", "django"):
        flags = [flag for flag in arguments[3:-1] if flag in {"--multithreaded", "--nothreading"}]
        return " ".join([arguments[2], *flags])
    # The server that it is, patched or not.
    return arguments[2].partition("_")[0]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_server_is_documented(kind):
    table = (ROOT / "docs" / "servers.rst").read_text(encoding="utf-8").partition("\nTLS by the server")[0]
    words = name_of(kind).split()
    rows = [row for row in table.lower().split("    * - ")[2:] if ("gunicorn" in row) == ("gunicorn" in words)]
    assert any(all(word.lower() in row for word in words) for row in rows), words


def test_every_server_with_tls_is_documented():
    text = (ROOT / "docs" / "servers.rst").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"^TLS by the server itself is tested on (.*?)\.\n\n", text, re.MULTILINE | re.DOTALL)
    for kind in TLS_KINDS:
        assert name_of(kind).rpartition(" ")[2].rpartition(".")[2].lower() in sentence.lower()


def test_every_server_without_websockets_is_documented():
    text = (ROOT / "docs" / "servers.rst").read_text(encoding="utf-8")
    section = text.partition("\nServers without WebSockets\n")[2].partition("\nHow many")[0]
    for name in (*(kind.name for kind in SOCKETLESS_KINDS), "mod_wsgi", "ASGI", "HTTP/2", "uwsgi protocol"):
        assert name.lower() in section.lower()


def contents() -> dict[str, list[str]]:
    """Return the pages of each part of the documentation."""
    index = (ROOT / "docs" / "index.rst").read_text(encoding="utf-8")
    parts = index.split("\n.. toctree::\n    :caption: ")[1:]
    return {part.partition("\n")[0]: re.findall(r"^    ([\w-]+)$", part, re.MULTILINE) for part in parts}


def test_every_page_is_in_the_contents():
    pages = [page for part in contents().values() for page in part]
    assert sorted(pages) == sorted(page.stem for page in PAGES if page.parent.name == "docs" and page.stem != "index")


def test_the_contents_follow_the_way_of_a_newcomer():
    assert list(contents()) == ["Start", "How to", "Reference", "How it works", "FAQ", "Project"]
    assert contents()["Start"] == ["quickstart", "tutorial"]
