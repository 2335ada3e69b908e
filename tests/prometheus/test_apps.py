"""The application ``"django_websocket.prometheus"``."""

import sys

import pytest
from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured

from django_websocket.prometheus import installation

APP = "django_websocket.prometheus"


def test_its_name_and_label():
    config = AppConfig.create(APP)
    assert (config.name, config.label) == (APP, "django_websocket_prometheus")


def test_it_installs_the_metrics(monkeypatch):
    calls = []
    monkeypatch.setattr(installation, "install", lambda: calls.append(1))
    AppConfig.create(APP).ready()
    assert calls == [1]


def test_without_prometheus_client(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, f"{APP}.installation")
    with pytest.raises(ImproperlyConfigured, match="python -m pip install prometheus-client"):
        AppConfig.create(APP).ready()


def test_another_module_that_is_missing(monkeypatch):
    """Guards against a remedy that is none."""
    monkeypatch.setitem(sys.modules, f"{APP}.collector", None)
    monkeypatch.delitem(sys.modules, f"{APP}.installation")
    with pytest.raises(ModuleNotFoundError, match="collector"):
        AppConfig.create(APP).ready()
