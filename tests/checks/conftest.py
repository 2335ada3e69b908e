import sys

import pytest


@pytest.fixture(autouse=True)
def _without_groups(monkeypatch):
    """Hide that other tests of the process have used groups, of which the checks of deployment would tell."""
    monkeypatch.delitem(sys.modules, "django_websocket.groups.group", raising=False)
