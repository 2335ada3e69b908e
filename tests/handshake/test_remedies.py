"""What has to be changed: one line each, in the log always, and in the answer where only the developers see it."""

import pytest

from django_websocket.handshake import remedies

from ..observing import records
from ..refusals import FAULTS
from ..requests import attempt

REMEDIES = {name: value for name, value in vars(remedies).items() if name.isupper()}


@pytest.mark.parametrize("name", REMEDIES)
def test_a_remedy_is_the_rest_of_a_line(name):
    text = REMEDIES[name]
    assert text.isascii()
    assert text.isprintable()
    assert not text.endswith((".", ";"))


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ("view", remedies.UNMARKED_VIEW),
        ("host", f"{remedies.REPLACED_HOST}; {remedies.UNKNOWN_HOST}"),
        ("origin", f"{remedies.REPLACED_HOST}; {remedies.NOT_TRUSTED}"),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_the_answer_has_it_with_debug_only(settings, caplog, fault, remedy, debug):
    settings.DEBUG = debug
    fault = FAULTS[fault]
    response = attempt(fault.path, **fault.changes)
    assert response.content.decode() == (f"{fault.text}; {remedy}\n" if debug else f"{fault.text}\n")
    assert response.headers["Content-Length"] == str(len(response.content))
    (record,) = records(caplog)
    assert record.getMessage().endswith(f"; {remedy}")


def test_a_refusal_without_a_remedy(settings):
    settings.DEBUG = True
    assert attempt("/unreachable/", **FAULTS["malformed"].changes).content.decode() == f"{FAULTS['malformed'].text}\n"
