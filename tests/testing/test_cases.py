"""The test case of this package: its client speaks WebSocket, and it is Django's ``TestCase`` otherwise."""

import unittest

import pytest
from django.contrib.auth.models import User
from django.urls import path

from django_websocket import require_websocket
from django_websocket.testing import WebSocketClient, WebSocketTestCase

pytestmark = pytest.mark.urls(__name__)


@require_websocket
def name_of(request):
    request.websocket.send(request.user.username)


urlpatterns = [path("name/", name_of)]


class NameTests(WebSocketTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.user = User.objects.create_user("ann")

    def test_the_client_is_logged_in_and_connects(self):
        self.client.force_login(self.user)
        with self.client.websocket("/name/") as websocket:
            assert websocket.wait() == "ann"

    def test_the_client_is_a_new_one_each_time(self):
        with self.client.websocket("/name/") as websocket:
            assert websocket.wait() == ""


class FrenchClient(WebSocketClient):
    def __init__(self, **defaults):
        super().__init__(HTTP_ACCEPT_LANGUAGE="fr", **defaults)


class FrenchTests(WebSocketTestCase):
    client_class = FrenchClient

    def test_a_subclass_may_have_a_client_of_its_own(self):
        assert isinstance(self.client, FrenchClient)


def test_it_has_no_tests_of_its_own():
    """A test module that imports it runs nothing more."""
    assert unittest.defaultTestLoader.loadTestsFromTestCase(WebSocketTestCase).countTestCases() == 0
