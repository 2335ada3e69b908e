import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from django_websocket.management.commands import websocket_doctor

from ...doctor.peers import opens, peer, refuses


def call(*arguments):
    """Call the command; return its exit status, and what it writes."""
    out, status = StringIO(), 0
    try:
        call_command("websocket_doctor", *arguments, stdout=out)
    except SystemExit as end:
        status = end.code
    return status, out.getvalue()


def test_the_project():
    status, text = call()
    assert status == 0
    assert text.endswith("\nok: Nothing is wrong. The lines with 'warn' deserve a thought.\n")
    status, text = call("--json")
    assert status == 0
    assert (json.loads(text)["url"], json.loads(text)["verdict"]) == (None, "ok")


def test_a_project_that_is_broken(settings):
    """Guards that it runs where system checks stop every other command."""
    settings.WEBSOCKET_PING_INTERVAL = "often"
    settings.ROOT_URLCONF = "tests.there_is_no_such_module"
    status, text = call()
    assert status == 1
    assert "fail  django_websocket.E007  " in text
    assert "\nerror: Something else is wrong; the check that fails says what.\nChange: " in text


def test_an_address():
    with peer(opens()) as address:
        status, text = call(address.url, "--idle", "0", "--versions", "13,76", "--send", "hello")
    assert status == 0
    assert "\nok    versions    13, 76 open" in text
    assert "\nok    echo        the message comes back" in text


def test_all_options(monkeypatch):
    seen = []
    arguments = ["wss://example.com/", "--origin", "https://a.example", "--cookie", "a=b", "--header", "X-Key: c:d"]
    arguments += ["--versions", "76, 13,76", "--idle", "1.5", "--timeout", "2", "--send", "x", "--insecure"]
    monkeypatch.setattr(websocket_doctor, "examine", lambda *given: seen.extend(given) or websocket_doctor.Report())
    assert call(*arguments)[0] == 0
    assert seen == [
        websocket_doctor.Address(True, "example.com", 443, "/"),
        websocket_doctor.Options(
            origin="https://a.example",
            headers={"x-key": "c:d", "cookie": "a=b"},
            versions=(76, 13),
            idle=1.5,
            timeout=2.0,
            message="x",
            insecure=True,
        ),
    ]


def test_defaults(monkeypatch):
    seen = []
    monkeypatch.setattr(websocket_doctor, "examine", lambda *given: seen.extend(given) or websocket_doctor.Report())
    call("ws://localhost/")
    assert seen[1] == websocket_doctor.Options()


def test_a_verdict():
    with peer(refuses(404)) as address:
        status, text = call(address.url, "--json", "--versions", "13")
    report = json.loads(text)
    assert status == 1
    assert list(report) == ["url", "verdict", "summary", "change", "docs", "checks"]
    assert (report["url"], report["verdict"]) == (address.url, "no-such-address")
    assert list(report["checks"][-1]) == ["id", "status", "message", "ms", "data"]
    (handshake,) = [check for check in report["checks"] if check["id"] == "handshake"]
    assert handshake["data"]["status"] == 404


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["localhost"], "has to begin with ws://"),
        (["ws://localhost/", "--versions", "14"], "not a list of versions among 13, 8, 7, 76, 75"),
        (["ws://localhost/", "--versions", "x"], "not a list of versions"),
        (["ws://localhost/", "--idle", "-1"], "not a number of seconds from 0 to 86400"),
        (["ws://localhost/", "--idle", "nan"], "not a number of seconds"),
        (["ws://localhost/", "--timeout", "0"], r"not a number of seconds from 0\.01"),
        (["ws://localhost/", "--timeout", "soon"], "not a number of seconds"),
        (["ws://localhost/", "--header", "X-Key"], "not of the form 'Name: value'"),
        (["ws://localhost/", "--header", ": x"], "not of the form 'Name: value'"),
        (["ws://localhost/", "--header", "Upgrade: x"], "not a header that can be added to a handshake"),
        (["ws://localhost/", "--cookie", "a\r\nb"], "the value of Cookie is not visible ASCII"),
    ],
)
def test_a_mistake_in_the_command(arguments, text):
    with pytest.raises(CommandError, match=text):
        call(*arguments)


def test_the_exit_status_of_a_mistake():
    with pytest.raises(CommandError) as caught:
        call("localhost")
    assert caught.value.returncode == 2
