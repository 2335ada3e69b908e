"""The page on groups is true: its backend works, and its lists are complete."""

import ast
import re
import sys
import types

import pytest
from django.test import override_settings
from django.urls import path

from django_websocket import Group, groups_status, require_websocket
from django_websocket.checks import check_backends, check_settings
from django_websocket.groups.backends import get_backend
from django_websocket.groups.backends.memory import MemoryBackend
from django_websocket.groups.backends.redis import RedisBackend
from django_websocket.testing import WebSocketClient

from .test_docs import PAGES, ROOT, code_blocks, run

PAGE = ROOT / "docs" / "groups.rst"
MODULE = "documented_backend"


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
