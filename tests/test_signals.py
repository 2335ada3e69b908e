"""The signals of the package: what they are called, and that Django need not be set up to import them."""

import subprocess
import sys

from django.dispatch import Signal

from django_websocket import signals


def test_the_signals():
    names = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    ours = {"websocket_accepted", "websocket_closed", "websocket_refused"}
    assert names == {"group_gap", "member_joined", "member_left"} | ours


def test_they_are_imported_without_settings():
    code = "import django_websocket.signals, django.conf; assert not django.conf.settings.configured"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
