"""The tests for real servers and browsers are found, and those that share a server reach the same worker."""

import configparser
import re

import pytest

from lab.servers import ROOT

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("scheduling")]


def test_the_scheduler_sees_the_groups(request):
    """Guards against groups that are lost: every worker would start every server, and all take much longer."""
    assert request.node.nodeid.endswith("@scheduling") == bool(request.config.getoption("loadgroup", False))


@pytest.mark.parametrize("mark", ["live", "browser"])
def test_all_are_collected(mark):
    """Guards tests outside of the folders that ``tox`` names for a mark: they would run nowhere."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    (folders,) = re.findall(r"\{posargs:(.+)\}", tox[f"testenv:{mark}"]["commands"])
    marked = [path for path in ROOT.glob("tests/**/*.py") if f"pytest.mark.{mark}" in path.read_text(encoding="utf-8")]
    assert len(marked) > 1
    assert [path for path in marked if not any(path.is_relative_to(ROOT / folder) for folder in folders.split())] == []
