"""The page on browsers is true: its tables, its view, and that the module is found and hashed as static files are."""

import gzip
import json
import re

import pytest
from django.core.management import call_command
from django.template import engines
from django.test import override_settings
from django.urls import path

from django_websocket import Group
from django_websocket.testing import WebSocketClient

from .test_docs import ROOT, code_blocks, run

PAGE = "docs/browser.rst"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
STATIC = ROOT / "django_websocket/static/django_websocket"
MODULE = (STATIC / "websocket.js").read_text(encoding="utf-8")
TYPES = (STATIC / "websocket.d.ts").read_text(encoding="utf-8")


def views():
    names = {}
    for block in code_blocks(PAGE, TEXT):
        names.update(run(block))
    return names


VIEWS = views()
urlpatterns = [path(f"{name}/", VIEWS[name]) for name in ("bids", "both")]
pytestmark = pytest.mark.urls(__name__)


def table(first):
    """Return the rows of the table whose first column has this heading: the first two cells of each."""
    (body,) = re.findall(rf"    \* - {first}\n(.*?)\n\n", TEXT, re.DOTALL)
    return dict(re.findall(r"^    \* - (\S+)\n      - (.*)$", body, re.MULTILINE))


def test_the_size():
    """The minified one is measured in tests/browser/test_websocket_js.py."""
    ((compressed, whole),) = re.findall(r"compressed; (\d\.\d) KiB compressed as it is, and (\d) KiB", TEXT)
    assert round(len(gzip.compress(MODULE.encode(), 9)) / 1024, 1) == float(compressed)
    assert round(len(MODULE.encode()) / 1024) == int(whole)


def test_the_options():
    """They are those of the module and of its types, with their defaults."""
    documented = {name.strip("`"): default.strip("`") for name, default in table("Option").items()}
    final = documented.pop("final")
    assert final.startswith("see")
    (defaults,) = re.findall(r"const DEFAULTS = \{(.*?)\n\};", MODULE, re.DOTALL)
    assert dict(re.findall(r"^  (\w+): (.*),$", defaults.partition("\n  final:")[0], re.MULTILINE)) == documented
    (declared,) = re.findall(r"interface Options \{(.*?)\n\}", TYPES, re.DOTALL)
    assert sorted(re.findall(r"^  (\w+)\?:", declared, re.MULTILINE)) == sorted([*documented, "final"])


def test_the_events():
    documented = sorted(name.strip("`") for name in table("Event"))
    (dispatched,) = re.findall(r"for \(const type of \[(\"open\".*?)\]\)", MODULE)
    assert sorted(json.loads(f"[{dispatched}]")) == documented
    (declared,) = re.findall(r"interface ReconnectingWebSocketEventMap \{(.*?)\n\}", TYPES, re.DOTALL)
    assert sorted(re.findall(r"^  (\w+):", declared, re.MULTILINE)) == documented
    assert sorted(re.findall(r"^  on(\w+): Handler", TYPES, re.MULTILINE)) == documented


def test_the_types():
    """They have what the class has."""

    def members(source, pattern):
        (body,) = re.findall(r"class ReconnectingWebSocket extends EventTarget \{(.*?)\n\}", source, re.DOTALL)
        return {name for name in re.findall(pattern, body, re.MULTILINE) if name != "constructor"}

    declared = members(TYPES, r"^  (?:static )?(?:readonly )?(\w+)[(:]")
    listening = {"addEventListener", "removeEventListener"}
    handlers = {name for name in declared if name.startswith("on")}
    assert members(MODULE, r"^  (?:static |get |set )?(\w+)(?: = .*;|\(.*\) \{)") == declared - listening - handlers


def test_the_codes():
    """Those that stay closed are those of the module."""
    (final,) = re.findall(r"const FINAL = (\[.*?\]);", MODULE)
    final = json.loads(final)
    for code, row in re.findall(r"^    \* - (\d{4})\n((?:      .*\n)+)", TEXT, re.MULTILINE):
        stays = int(code) in final or int(code) >= 4000
        assert ("- stays closed" in row, "- comes back" in row) == (stays, not stays), code
    assert "1000, 1002, 1003, 1007 to 1010, and 4000 to 4999" in TEXT
    assert final == [1000, 1002, 1003, *range(1007, 1011)]


def test_several_groups_resume_each_by_its_own_parameter():
    news, prices = Group("news", history=50), Group("prices", history=200)
    positions = [group.send(text) for group, text in ((news, "n1"), (prices, "p1"))]
    news.send("n2")
    prices.send("p2")
    with WebSocketClient().websocket(
        f"/both/?since=several&since.news={positions[0]}&since.prices={positions[1]}"
    ) as ws:
        assert [Group.unwrap(ws.wait()).data for _ in range(2)] == ["n2", "p2"]


def test_a_view_of_one_group_gets_a_gap_where_the_page_has_several():
    """Guards the word that stands in for a position."""
    VIEWS["everybody"].send("missed")
    with WebSocketClient().websocket("/bids/?since=several") as ws:
        assert Group.unwrap(ws.wait()).is_gap


def test_the_module_has_a_name_that_changes_with_it(tmp_path, settings):
    """``collectstatic`` finds it, and the storage that caches for ever has the name for the page."""
    storages = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}}
    with override_settings(STORAGES={**settings.STORAGES, **storages}, STATIC_ROOT=tmp_path):
        call_command("collectstatic", interactive=False, verbosity=0)
        template = engines["django"].from_string("{% load static %}{% static 'django_websocket/websocket.js' %}")
        (name,) = re.findall(r"django_websocket/websocket\.[0-9a-f]{12}\.js", template.render())
    assert (tmp_path / name).read_text(encoding="utf-8") == MODULE
    assert (tmp_path / "django_websocket/websocket.d.ts").exists()
