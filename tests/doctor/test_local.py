import pytest

from django_websocket import checks
from django_websocket.doctor import local
from django_websocket.doctor.local import examine_project

#: The checks of a project in which all is well, besides the messages for a public server.
IDS = ["server", "settings", "installed-apps", "middleware", "asgi", "views", "atomic", "session", "proxy"]


@pytest.fixture(autouse=True)
def arguments(monkeypatch):
    monkeypatch.setattr("sys.argv", ["manage.py", "websocket_doctor"])
    monkeypatch.delenv("GUNICORN_CMD_ARGS", raising=False)


def look():
    """Return the report, and its checks by their ids."""
    report = examine_project()
    return report, {check.id: check for check in report.checks}


def test_all_is_well():
    report, checks = look()
    assert [check.id for check in report.checks if check.id in IDS] == IDS
    assert {checks[check_id].status for check_id in IDS} == {"ok"}
    assert (report.url, report.verdict.word) == (None, "ok")
    assert "gunicorn" in checks["server"].data["installed"]
    assert checks["views"].message.startswith("9 of 10 views take WebSockets: /echo/, ")


def test_every_system_check_is_made(monkeypatch):
    called = []
    for name in checks.__all__:

        def check(name=name):
            called.append(name)
            return []

        check.__name__ = name
        monkeypatch.setattr(checks, name, check)
    look()
    assert sorted(called) == sorted(checks.__all__)


def test_messages_of_the_system_checks(settings):
    settings.WEBSOCKET_PING_INTERVAL = -1
    settings.WEBSOCKET_MAX_MESSAGE_SIZE = None
    report, checks = look()
    assert report.verdict.word == "error"
    assert report.exit_status == 1
    assert checks["django_websocket.E007"].status == "fail"
    assert checks["django_websocket.W202"].status == "warn"
    assert checks["django_websocket.W202"].data["check"] == "deploy"
    assert checks["django_websocket.I209"].status == "ok"
    assert "settings" not in checks
    settings.SILENCED_SYSTEM_CHECKS = ["django_websocket.W202"]
    assert "django_websocket.W202" not in look()[1]


@pytest.mark.parametrize(
    ("setting", "check_id", "status", "text"),
    [
        (("INSTALLED_APPS", []), "installed-apps", "warn", "is not in INSTALLED_APPS"),
        (("MIDDLEWARE", []), "middleware", "warn", "is not in MIDDLEWARE"),
        (("MIDDLEWARE", []), "middleware", "warn", "on waitress and cheroot, the Close with 1012 at a shutdown do not"),
        (("MIDDLEWARE", []), "session", "ok", "there is no SessionMiddleware"),
        (("ASGI_APPLICATION", "project.asgi.application"), "django_websocket.W204", "warn", "an ASGI server serves no"),
        (
            ("SESSION_ENGINE", "django.contrib.sessions.backends.signed_cookies"),
            "session",
            "warn",
            "does not notice that its session was logged out",
        ),
        (
            ("SECURE_PROXY_SSL_HEADER", ("HTTP_X_FORWARDED_PROTO", "https")),
            "proxy",
            "ok",
            "SECURE_PROXY_SSL_HEADER is ['HTTP_X_FORWARDED_PROTO', 'https']",
        ),
        (("ROOT_URLCONF", "tests.there_is_no_such_module"), "views", "fail", "ModuleNotFoundError: No module named"),
    ],
)
def test_settings(settings, setting, check_id, status, text):
    setattr(settings, *setting)
    check = look()[1][check_id]
    assert check.status == status
    assert text in check.message


@pytest.mark.urls("tests.doctor.rest_views")
def test_views_of_frameworks():
    pytest.importorskip("rest_framework")
    report, checks = look()
    (first, *others) = [check for check in report.checks if check.id == "views"]
    assert first.message == "1 of 2 views take WebSockets: /api/decorated/"
    assert [check.message for check in others] == [
        "/api/<int:number>/ is of Django REST framework: no decorator of this package is found in it",
        "/api/decorated/ is of Django REST framework: takes WebSockets",
    ]
    assert checks["atomic"].status == "ok"


@pytest.mark.urls("tests.doctor.no_views")
def test_no_views():
    check = look()[1]["views"]
    assert check.status == "warn"
    assert check.message.startswith("none of 0 views takes WebSockets")


def test_long_lists_are_cut():
    assert local._shorten([f"/{number}/" for number in range(10)]).endswith("/7/ and 2 more")
    assert local._shorten(["/a/"]) == "/a/"


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        ("--worker-class gthread --threads 8", "ok", "worker class gthread, 8 threads"),
        ("--threads=8", "ok", "worker class of its default, 8 threads"),
        ("-k sync", "warn", "room for one WebSocket"),
        ("-k", "ok", "installed: "),
        ("'", "fail", "ValueError"),
    ],
)
def test_workers_of_gunicorn(monkeypatch, options, status, text):
    monkeypatch.setenv("GUNICORN_CMD_ARGS", options)
    check = look()[1]["server"]
    assert check.status == status
    assert text in check.message


def test_no_server(monkeypatch):
    monkeypatch.setattr(local, "_SERVERS", ("a-server-that-nobody-has",))
    check = look()[1]["server"]
    assert check.status == "warn"
    assert check.message.startswith("installed: none")
