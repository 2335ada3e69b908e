"""Choosing the version of a request."""

from __future__ import annotations

import pytest

from django_websocket.exceptions import HandshakeError
from django_websocket.protocols import choose
from django_websocket.protocols.base import State
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455

from . import test_hixie75, test_hixie76
from .rfc6455 import peers as rfc6455

ALL = [RFC6455, Hixie76, Hixie75]
REQUESTS = {
    RFC6455: rfc6455.make_request,
    Hixie76: test_hixie76.make_request,
    Hixie75: test_hixie75.make_request,
}


@pytest.mark.parametrize("protocols", [ALL, ALL[::-1], [Hixie76, RFC6455, Hixie75]])
@pytest.mark.parametrize("protocol", ALL)
def test_chooses_the_version_of_the_request(protocol, protocols):
    request = REQUESTS[protocol]()
    chosen = choose(request, iter(protocols))
    assert type(chosen) is protocol
    assert chosen.request is request
    assert chosen.version == protocol.versions[0]
    assert not chosen.client
    assert chosen.state is State.CONNECTING
    assert (chosen.max_message_size, chosen.max_fragments) == (1024 * 1024, 1024)


@pytest.mark.parametrize("protocol", ALL)
def test_does_not_choose_a_version_that_is_disabled(protocol):
    with pytest.raises(HandshakeError, match="of no version that is spoken here") as caught:
        choose(REQUESTS[protocol](), [other for other in ALL if other is not protocol])
    assert caught.value.status == 400
    # A client is told the supported versions only if it could speak another one.
    assert caught.value.headers == (() if protocol is RFC6455 else RFC6455.version_headers)


@pytest.mark.parametrize("protocol", ALL)
def test_refuses_every_request_without_protocols(protocol):
    with pytest.raises(HandshakeError) as caught:
        choose(REQUESTS[protocol](), [])
    assert caught.value.headers == ()


class First(RFC6455):
    version_headers = (("X-First", "1"),)


class Second(First):
    version_headers = (("X-Second", "1"), ("X-Second", "2"))


class Never(Second):
    @classmethod
    def matches(cls, request):
        return False


def test_the_order_is_the_order_of_preference():
    request = rfc6455.make_request()
    assert type(choose(request, [First, Second])) is First
    assert type(choose(request, [Second, First])) is Second
    assert type(choose(request, [Never, First, Second])) is First


def test_a_refusal_lists_the_versions_of_all_protocols():
    with pytest.raises(HandshakeError) as caught:
        choose(test_hixie75.make_request(), [First, Hixie76, Second])
    assert caught.value.headers == (("X-First", "1"), ("X-Second", "1"), ("X-Second", "2"))


def test_a_malformed_request_is_not_taken_for_another_version():
    # If the headers of later versions did not count, this would be a request of hixie-75.
    request = rfc6455.make_request({"sec-websocket-key": "bad", "origin": "http://example.com"})
    for protocols in (ALL, ALL[::-1]):
        with pytest.raises(HandshakeError, match="Sec-WebSocket-Key"):
            choose(request, protocols)
    request = rfc6455.make_request({"sec-websocket-version": "99"})
    with pytest.raises(HandshakeError) as caught:
        choose(request, [First])
    assert caught.value.headers == First.version_headers
