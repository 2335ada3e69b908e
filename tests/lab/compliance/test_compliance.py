"""The verdicts of the Autobahn test suite are compared; the suite itself is a live test."""

import json
import subprocess

import pytest

from lab.compliance import autobahn
from lab.compliance.verdicts import CASES, TABLE, deviations, select, summary

#: Results as Autobahn writes them: for each case the verdicts, the Close that we sent, milliseconds, and the report.
INDEX = json.loads("""
{
   "3.1": {"behavior": "OK", "behaviorClose": "OK", "duration": 2, "remoteCloseCode": 1002,
           "reportfile": "django-websocket_case_3_1.json"},
   "3.2": {"behavior": "OK", "behaviorClose": "OK", "duration": 1, "remoteCloseCode": 1002,
           "reportfile": "django-websocket_case_3_2.json"},
   "7.1.6": {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL", "duration": 6, "remoteCloseCode": 1000,
             "reportfile": "django-websocket_case_7_1_6.json"},
   "9.1.1": {"behavior": "OK", "behaviorClose": "OK", "duration": 1503, "remoteCloseCode": 1000,
             "reportfile": "django-websocket_case_9_1_1.json"}
}
""")
ASKED = ["3.1", "3.2", "7.1.6", "9.1.1"]


def judge(case=None, **changes):
    """Return the deviations of the recorded run, with one case changed."""
    results = {**INDEX, case: {**INDEX[case], **changes}} if case else INDEX
    return deviations(ASKED, results, TABLE["not OK"])


def test_a_run_that_is_as_expected():
    assert judge() == []


@pytest.mark.parametrize("verdict", ["NON-STRICT", "FAILED", "UNIMPLEMENTED", "INFORMATIONAL"])
def test_a_wrong_verdict(verdict):
    assert judge("3.2", behavior=verdict) == [f"3.2 has behavior {verdict}, not OK"]


def test_a_wrong_close():
    assert judge("3.2", behaviorClose="UNCLEAN") == ["3.2 has behaviorClose UNCLEAN, not OK"]


def test_both_wrong():
    assert len(judge("3.2", behavior="FAILED", behaviorClose="FAILED")) == 2


def test_a_case_that_is_better_than_expected():
    assert judge("7.1.6", behavior="OK") == ["7.1.6 has behavior OK, not INFORMATIONAL"]


def test_a_case_that_is_worse_than_expected():
    assert judge("7.1.6", behavior="FAILED") == ["7.1.6 has behavior FAILED, not INFORMATIONAL"]


def test_cases_that_were_not_run():
    assert deviations([*ASKED, "9.1.2", "10.1.1"], INDEX, TABLE["not OK"]) == [
        "9.1.2 was not run",
        "10.1.1 was not run",
    ]
    assert deviations(ASKED, {}, TABLE["not OK"]) == [f"{case} was not run" for case in ASKED]


def test_a_case_that_was_not_asked_for():
    assert deviations(ASKED[1:], INDEX, TABLE["not OK"]) == ["3.1 was not asked for"]


def test_the_table():
    assert len(CASES) == len(set(CASES)) == 517
    assert TABLE["not OK"].keys() < set(CASES)
    assert CASES[:9] == (*(f"1.1.{number}" for number in range(1, 9)), "1.2.1")


def test_the_cases_to_run():
    assert select(["all"]) == list(CASES)
    assert len(select(["12.*", "13.*"])) == 216
    assert select(["3.*"]) == [f"3.{number}" for number in range(1, 8)]
    assert select(["9.[12].3", "1.1.2", "9.1.*"]) == ["1.1.2", *(f"9.1.{number}" for number in range(1, 7)), "9.2.3"]
    quick = select(["quick"])
    assert set(CASES) - set(quick) < set(select(["12.*", "13.*"]))
    # The quick cases have every kind of data, and every window.
    groups = {case.rpartition(".")[0] for case in quick}
    assert groups > {*(f"12.{number}" for number in range(1, 6)), *(f"13.{number}" for number in range(1, 8))}


@pytest.mark.parametrize("patterns", [["4.1.6"], ["14.*"], ["1"], ["3.*", "0.*"]])
def test_no_such_case(patterns):
    with pytest.raises(ValueError, match="there is no case"):
        select(patterns)


def test_the_summary():
    assert list(summary(INDEX)) == [
        "   3    2 cases      0.0 s   2 OK",
        "   7    1 cases      0.0 s   1 INFORMATIONAL",
        "   9    1 cases      1.5 s   1 OK",
        " all    4 cases      1.5 s   3 OK, 1 INFORMATIONAL",
    ]
    assert list(summary({})) == []


# The tool


@pytest.fixture
def no_wstest(tmp_path, monkeypatch):
    """Hide ``wstest`` and every Python 2.7, and return the folder in which they are looked for."""
    monkeypatch.delenv("WSTEST", raising=False)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(autobahn, "BUILD", tmp_path / "build")
    monkeypatch.setattr(autobahn.time, "sleep", lambda _: None)
    return tmp_path


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_wstest_that_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("WSTEST", str(tmp_path / "wstest"))
    with pytest.raises(autobahn.Unavailable, match="WSTEST is no program"):
        autobahn.find()
    program(tmp_path / "wstest", "true")
    assert autobahn.find() == str(tmp_path / "wstest")


def test_no_python(no_wstest):
    # The file there is a shim, or another version.
    program(no_wstest / "python2.7", "exit 127")
    with pytest.raises(autobahn.NoPython, match=r"pyenv install 2\.7\.18"):
        autobahn.find()


@pytest.mark.parametrize("failures", [0, 2])
def test_the_installation_is_tried_again(no_wstest, monkeypatch, failures):
    program(no_wstest / "versions" / "2.7.18" / "bin" / "python2.7", "exit 0")
    commands = []

    def run(*command):
        commands.append(command)
        if command[-1].startswith("autobahntestsuite"):
            code = int(sum(command[-1].startswith("autobahntestsuite") for command in commands) <= failures)
            if not code:
                program(autobahn.BUILD / f"autobahntestsuite-{autobahn.VERSION}" / "bin" / "wstest", "true")
            return subprocess.CompletedProcess(command, code, "no network")
        return subprocess.CompletedProcess(command, 0, "")

    monkeypatch.setattr(autobahn, "_run", run)
    path = autobahn.find()
    assert path.endswith("/bin/wstest")
    assert sum("venv" in command for command in commands) == failures + 1
    # The second time it is found.
    commands.clear()
    assert autobahn.find() == path
    assert commands == []


def test_an_installation_that_fails(no_wstest, monkeypatch):
    monkeypatch.setattr(autobahn, "_find_python", lambda: "python2.7")
    monkeypatch.setattr(autobahn, "_run", lambda *command: subprocess.CompletedProcess(command, 1, "no network"))
    with pytest.raises(autobahn.Unavailable, match=r"(?s)3 times.*WSTEST.*no network") as caught:
        autobahn.find()
    assert not isinstance(caught.value, autobahn.NoPython)


def test_a_run_without_reports(tmp_path):
    wstest = program(tmp_path / "wstest", 'echo "no good"; exit 1')
    with pytest.raises(RuntimeError, match=r"(?s)no reports.*no good"):
        autobahn.run(str(wstest), "ws://127.0.0.1:1/", ["3.1"], tmp_path, timeout=20)


@pytest.mark.parametrize(("version", "number"), [(13, 18), (8, 10)])
def test_the_options_of_the_tool(tmp_path, version, number):
    answer = f"""printf '{{"{autobahn.AGENT}": {{"3.1": "%s"}}}}' "$4" > index.json"""
    wstest = program(tmp_path / "wstest", answer)
    spec = tmp_path / "spec.json"
    results = autobahn.run(str(wstest), "ws://example/", ["3.1"], tmp_path, version=version, timeout=20)
    assert results == {"3.1": str(spec)}
    assert json.loads(spec.read_text()) == {
        "options": {"failByDrop": False, "version": number},
        "outdir": str(tmp_path),
        "servers": [{"agent": autobahn.AGENT, "url": "ws://example/"}],
        "cases": ["3.1"],
    }
