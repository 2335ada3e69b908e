"""Shared fixtures, and the profiles of Hypothesis. ``CONTRIBUTING.rst`` describes how to use the profile ``long``."""

import pytest
from hypothesis import HealthCheck, settings

# The time that an example takes depends mostly on the other work of the machine, so no deadline is set.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("unhurried"), max_examples=10_000, print_blob=True)
settings.load_profile("unhurried")


@pytest.fixture
def _session_files(settings, tmp_path, monkeypatch):
    """Store sessions in files in a directory of the test."""
    # The session store caches the directory in a class attribute.
    monkeypatch.delattr("django.contrib.sessions.backends.file.SessionStore._storage_path", raising=False)
    settings.SESSION_FILE_PATH = str(tmp_path)
