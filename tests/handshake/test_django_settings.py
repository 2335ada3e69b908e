"""Settings of Django itself."""

import pytest
from django.conf import settings as django_settings

from django_websocket.handshake.django_settings import read_setting


def test_the_value_is_that_of_the_project():
    assert read_setting("ROOT_URLCONF") == django_settings.ROOT_URLCONF == "tests.urls"
    assert read_setting("ROOT_URLCONF") is read_setting("ROOT_URLCONF")


def test_a_value_that_is_changed(settings):
    """Django forgets the values that it keeps."""
    before = read_setting("ALLOWED_HOSTS")
    settings.ALLOWED_HOSTS = ["other.example"]
    assert read_setting("ALLOWED_HOSTS") == ["other.example"]
    del settings.ALLOWED_HOSTS
    with pytest.raises(AttributeError):
        read_setting("ALLOWED_HOSTS")
    settings.ALLOWED_HOSTS = before
    assert read_setting("ALLOWED_HOSTS") is before


def test_there_is_no_such_setting():
    with pytest.raises(AttributeError, match="NO_SUCH_SETTING"):
        read_setting("NO_SUCH_SETTING")
