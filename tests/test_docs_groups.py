"""The page on groups is true: its backend works, and its lists are complete."""

import ast
import re
import socket
import sys
import types
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from django.urls import path

from django_websocket import Group, GroupUnavailable, groups, groups_status, require_websocket
from django_websocket.checks import check_backends, check_settings
from django_websocket.conf import MEMORY_BACKEND
from django_websocket.connection import connection
from django_websocket.groups.backends import get_backend
from django_websocket.groups.backends.memory import MemoryBackend
from django_websocket.groups.backends.redis import RedisBackend
from django_websocket.groups.group import MAX_MEMBER_NAME
from django_websocket.process.registry import registry
from django_websocket.testing import WebSocketClient
from lab.servers import free_port

from . import test_troubleshooting as troubleshooting
from .observing import records
from .test_docs import PAGES, ROOT, code_blocks, run

PAGE = ROOT / "docs" / "groups.rst"
MODULE = "documented_backend"
REDIS_BACKEND = "django_websocket.groups.backends.redis.RedisBackend"


@pytest.fixture
def outbox(monkeypatch):
    """Use the backend of the page, and return what it keeps."""
    blocks = code_blocks("docs/groups.rst", PAGE.read_text(encoding="utf-8"))
    (block,) = [block for block in blocks if "class OutboxBackend" in block.source]
    module = types.ModuleType(MODULE)
    vars(module).update(run(block))
    monkeypatch.setitem(sys.modules, MODULE, module)
    with override_settings(WEBSOCKET_GROUPS={"default": {"BACKEND": f"{MODULE}.OutboxBackend"}}, ROOT_URLCONF=__name__):
        yield module.outbox


@require_websocket
def enter(request, name):
    Group("room").add(request.websocket, name=name, since=request.GET.get("since"))
    request.websocket.wait()


urlpatterns = [path("<str:name>/", enter)]


def test_the_backend_of_the_page_keeps_messages(outbox):
    first = Group("room").send("hello")
    assert Group("room").send_json([1]) == Group("room").position()
    assert first != Group("room").position()
    Group("other").send(b"bytes")
    assert outbox == [("room", "hello"), ("room", "[1]"), ("other", b"bytes")]


@pytest.mark.django_db
def test_the_backend_of_the_page_knows_members(outbox):
    room = Group("room")
    client = WebSocketClient()
    with client.websocket("/ann/") as ann, client.websocket("/bob/") as bob:
        assert (room.members(), room.count()) == ({"ann", "bob"}, 2)
        assert groups_status()["default"].members == 2
        ann.close()
        assert room.members() == {"bob"}
        room.close(4000, "over")
        assert bob.wait() is None
        assert bob.close_code == 4000
    assert (room.members(), room.count()) == (set(), 0)


def documented_options():
    """Return the default of each option in the table of the settings."""
    text = (ROOT / "docs" / "settings.rst").read_text(encoding="utf-8")
    table = text.partition("\n.. options of groups\n")[2].partition("\nLogging\n")[0]
    found = re.findall(r"^    \* - ``(\w+)``\n      - ``(.+)``$", table, re.MULTILINE)
    return {name: ast.literal_eval(default) for name, default in found}


def test_every_option_is_documented_with_its_default():
    memory, redis = MemoryBackend.option_names, RedisBackend.option_names
    documented = documented_options()
    assert documented == {name: default for name, (_, default) in redis.items()}
    assert list(documented)[: len(memory)] == list(memory)


#: Each value of the setting that the documentation shows.
VALUES = [
    pytest.param(run(block)["WEBSOCKET_GROUPS"], id=f"{block.page}:{block.line}")
    for page in PAGES
    for block in code_blocks(page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8"))
    if re.search(r"^WEBSOCKET_GROUPS = ", block.source, re.MULTILINE)
]


@pytest.mark.parametrize("value", VALUES)
def test_every_value_of_the_setting_is_valid(value):
    with override_settings(WEBSOCKET_GROUPS=value):
        assert check_settings() == []
        assert check_backends() == []
        for alias in value:
            get_backend(alias)


@pytest.mark.urls(__name__)
def test_the_name_of_a_member_is_limited():
    client = WebSocketClient()
    with client.websocket(f"/{'n' * MAX_MEMBER_NAME}/"):
        assert Group("room").count() == 1
    with pytest.raises(ValueError, match="200 characters"), client.websocket(f"/{'n' * (MAX_MEMBER_NAME + 1)}/"):
        pytest.fail("it was let in")


def test_a_redis_that_does_not_answer():
    with socket.create_server(("127.0.0.1", 0)) as server:
        location = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        value = {"BACKEND": REDIS_BACKEND, "LOCATION": location, "OPTIONS": {"TIMEOUT": 0.1}}
        with override_settings(WEBSOCKET_GROUPS={"default": value}), pytest.raises(GroupUnavailable):
            Group("news").send("hello")


#: Methods of a logger whose lines somebody should see.
LOUD = {"warning", "error", "exception", "critical"}


def is_loud(node):
    """Return whether a node of the source logs a line that somebody should see."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LOUD
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "logger"
    )


def written_lines():
    """Return the loud lines that the groups write, as they are in the source."""
    return [
        ast.literal_eval(node.args[0])
        for path in sorted(Path(groups.__file__).parent.rglob("*.py"))
        for node in filter(is_loud, ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    ]


def is_quoted(template, line):
    """Return whether a line is one that a template makes."""
    return re.fullmatch(".+".join(map(re.escape, re.split("%[sd]", template))), line) is not None


def quoted_lines():
    """Return the lines about groups that the page on troubleshooting quotes."""
    page = (ROOT / "docs" / "troubleshooting.rst").read_text(encoding="utf-8")
    return troubleshooting.lines_in(page.partition(troubleshooting.GROUPS)[2])


def test_every_loud_line_is_quoted():
    quoted = quoted_lines()
    assert [template for template in written_lines() if not any(is_quoted(template, line) for line in quoted)] == []


def test_every_quoted_line_is_written():
    # The one line of a connection that is about groups.
    source = Path(connection.__file__).read_text(encoding="utf-8")
    (of_connection,) = re.findall(r'"(closed with 1013: .*)"', source)
    written = [*written_lines(), "WebSocket /news/ " + re.sub(r"\{\w+\}", "%s", of_connection)]
    # The template of an error that is logged would make any line. That line is made below.
    written.remove("Group %s: %s")
    lines = [line for line in quoted_lines() if not line.startswith("Group 'news': Redis is not available: ")]
    assert [line for line in lines if not any(is_quoted(template, line) for template in written)] == []


def test_the_lines_of_one_process(caplog, monkeypatch):
    """Guards the words that the patterns leave open."""
    monkeypatch.setattr(registry, "one_of_many", True)
    with override_settings(WEBSOCKET_GROUPS={"default": {"BACKEND": MEMORY_BACKEND}}):
        Group("news").send("hello")
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "django.core.handlers.wsgi", raising=False)
    with override_settings(WEBSOCKET_GROUPS={"default": {"BACKEND": MEMORY_BACKEND}}):
        Group("news").send("hello")
    written = [record.getMessage() for record in records(caplog, "django_websocket.groups")]
    assert len(written) == 2
    assert set(written) <= set(quoted_lines())


def test_the_line_of_a_redis_that_is_away(caplog):
    port = free_port()
    value = {"BACKEND": REDIS_BACKEND, "LOCATION": f"redis://127.0.0.1:{port}/0", "OPTIONS": {"ON_ERROR": "log"}}
    with override_settings(WEBSOCKET_GROUPS={"default": value}):
        assert Group("news").send("hello") is None
    (record,) = records(caplog, "django_websocket.groups")
    assert record.getMessage().replace(str(port), "6379") in quoted_lines()


@pytest.mark.django_db
def test_the_view_of_the_page_that_listens():
    blocks = code_blocks("docs/groups.rst", PAGE.read_text(encoding="utf-8"))
    (block,) = [block for block in blocks if ".listen(" in block.source]
    urls = types.ModuleType("documented_urls")
    urls.urlpatterns = [path("orders/", run(block)["orders"])]
    client = WebSocketClient()
    ann = User.objects.create_user("ann")
    client.force_login(ann)
    with override_settings(ROOT_URLCONF=urls), client.websocket("/orders/") as ws:
        group = Group("orders")
        group.send_json({"customer": ann.pk, "number": 1, "state": "<sent>"})
        ws.assert_message("<li>1: &lt;sent&gt;</li>")
        ws.send("paid")
        group.send_json({"customer": ann.pk, "number": 1, "state": "here"})
        group.send_json({"customer": ann.pk + 1, "number": 2, "state": "paid"})
        group.send_json({"customer": ann.pk, "number": 3, "state": "paid"})
        ws.assert_message("<li>3: paid</li>")
        # Nothing comes for a minute, in the time of the test.
        ws.assert_message("")
