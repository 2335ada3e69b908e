"""What several modules of tests need; and Hypothesis' profiles, one for a long try: ``CONTRIBUTING.rst`` says how."""

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more of what else the machine does.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("unhurried"), max_examples=10_000, print_blob=True)
settings.load_profile("unhurried")


@pytest.fixture
def _session_files(settings, tmp_path, monkeypatch):
    """Let sessions in files be the test's own."""
    # Which remembers the directory.
    monkeypatch.delattr("django.contrib.sessions.backends.file.SessionStore._storage_path", raising=False)
    settings.SESSION_FILE_PATH = str(tmp_path)
