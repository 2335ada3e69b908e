import json

from django_websocket.doctor.reports import Check, Report
from django_websocket.doctor.verdicts import VERDICTS


def test_all_is_well():
    report = Report()
    assert report.exit_status == 0
    assert list(report.lines()) == ["", "ok: Everything that was looked at is as it should be."]


def test_all_is_well_but_for_a_warning():
    report = Report()
    report.add("deploy", "warn", "a risk")
    assert report.exit_status == 0
    assert list(report.lines())[-1] == "ok: Nothing is wrong. The lines with 'warn' deserve a thought."


def test_lines():
    report = Report("ws://localhost/", verdict=VERDICTS["unreachable"])
    report.add("dns", "ok", "localhost is 127.0.0.1", 1.2345)
    report.add("accept-key", "fail", "one line\nand another")
    assert list(report.lines()) == [
        "ok    dns         localhost is 127.0.0.1 (1.2 ms)",
        "fail  accept-key  one line",
        "",
        "unreachable: Nothing answers at that host and port.",
        "Change: Start the server, or correct the host or the port of the address.",
        "More:   doctor.html#verdict-unreachable",
    ]
    assert report.exit_status == 1


def test_json():
    report = Report("ws://localhost/", [Check("tls", "skip", "text", 1.5, {"a": [1]})], VERDICTS["tls"])
    assert json.loads(json.dumps(report.as_json())) == {
        "url": "ws://localhost/",
        "verdict": "tls",
        "summary": VERDICTS["tls"].summary,
        "change": VERDICTS["tls"].change,
        "docs": "doctor.html#verdict-tls",
        "checks": [{"id": "tls", "status": "skip", "message": "text", "ms": 1.5, "data": {"a": [1]}}],
    }
