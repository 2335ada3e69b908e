"""What several modules of tests need; and a profile of Hypothesis for a long try: ``CONTRIBUTING.rst`` says how."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "long", max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)


@pytest.fixture
def _session_files(settings, tmp_path, monkeypatch):
    """Let sessions in files be the test's own."""
    # Which remembers the directory.
    monkeypatch.delattr("django.contrib.sessions.backends.file.SessionStore._storage_path", raising=False)
    settings.SESSION_FILE_PATH = str(tmp_path)
