"""The recipes of the page "Seeing what happens" do what they say, with the real packages.

Each test serves a small project twice: as it is, in which the life of a connection is recorded as if it was the latency
of a request, and with the recipe of the page, in which it is not, and everything else is. How long a connection was
open at least is measured by its client.
"""

from __future__ import annotations

import json
import re
import socket
from contextlib import ExitStack, suppress
from datetime import datetime
from urllib.request import Request, urlopen

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from django_websocket.connection.stats import ConnectionStats
from lab.servers import HOST, eventually, insecure

from .proxy import Nginx
from .seeing import MESSAGES, Site, recipe, talk
from .sentry import Sentry
from .typed import blocks

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

as_it_is_and_with_the_recipe = pytest.mark.parametrize("recipe_used", [False, True], ids=["as it is", "recipe"])


@pytest.fixture
def site(tmp_path):
    """Serve the project for one test; the arguments are those of :class:`Site`."""
    with ExitStack() as stack:

        def start(*captions, **options):
            server = Site(tmp_path, *captions, **options)
            stack.callback(server.stop)
            # The line of the request that has found it ready may come after the answer.
            server.settle()
            server.begin()
            return server

        yield start


# The lines of the package


def lines_of(server):
    """Serve a client, and one whose view fails; return the lines about WebSockets that the server has written.

    Each of the two may be served while the other is ending: first come both lines of the beginnings, in order, then
    that of the end of the first.
    """
    server.visit()
    server.fail()
    server.stop()
    lines = [line for line in server.text.splitlines() if "WebSocket" in line]
    return sorted(lines, key=lambda line: ("WebSocket closed" in line, "(error)" in line))


def test_logging(site):
    """Guards the configuration: with Django's own, none of these lines is seen."""
    first, second, third, fourth = lines_of(site("mysite/settings.py: LOGGING"))
    for line in (first, second):
        assert re.fullmatch(r"[\d-]+ [\d:,]+ \[\d+\] INFO WebSocket accepted: /room/tea/ \(RFC 6455\)", line)
    assert " INFO WebSocket closed: /room/tea/ 1000 by client after " in third
    assert third.endswith(f", {MESSAGES} messages in (90 bytes), {MESSAGES + 1} out (105 bytes)")
    assert " INFO WebSocket closed: /room/tea/ 1011 by server (error) after " in fourth


def test_logging_without_a_configuration(site):
    assert lines_of(site()) == []


@as_it_is_and_with_the_recipe
def test_what_the_project_answers_is_in_the_log_of_django(site, recipe_used):
    """Guards the line for ``"django"``: without it, a handshake for an address that does not exist leaves none."""
    server = site(*["mysite/settings.py: LOGGING"] * recipe_used)
    with pytest.raises(InvalidStatus), connect(server.url("/nowhere/"), origin=server.origin, proxy=None):
        pass
    server.stop()
    assert (" WARNING Not Found: /nowhere/\n" in server.text) == recipe_used
    assert ("django_websocket" in server.text or "WebSocket" in server.text) is False


def test_json(site):
    """Guards the formatter."""
    server = site("mysite/settings.py: LOGGING", "mysite/logs.py", "mysite/settings.py: JSON")
    accepted, other, closed, failed = map(json.loads, lines_of(server))
    assert accepted["message"] == "WebSocket accepted: /room/tea/ (RFC 6455)"
    about = {"path": "/room/tea/", "route": "room/<name>/", "user_id": None, "version": 13, "subprotocol": None}
    for fields in (accepted, closed):
        assert about.items() <= fields.items()
        assert (fields["level"], fields["logger"]) == ("INFO", "django_websocket.connection")
        assert fields["id"] == accepted["id"] != other["id"]
    assert accepted.keys() == {*about, "id", "time", "level", "logger", "message"}
    assert closed.keys() == {*accepted, *ConnectionStats._fields}
    assert (closed["messages_received"], closed["close_code"], closed["closed_by"]) == (MESSAGES, 1000, "client")
    assert (failed["close_code"], failed["cause"]) == (1011, "error")


#: What the site of the deployment page needs.
BEHIND_TLS = 'SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")\n'

# Access logs


@as_it_is_and_with_the_recipe
def test_gunicorn(site, tmp_path, recipe_used):
    """Guards the logger class. The format of the page is used in both cases."""
    configuration = recipe("gunicorn.conf.py").text
    if not recipe_used:
        configuration = configuration.replace("logger_class = PlainRequests\n", "")
        assert configuration != recipe("gunicorn.conf.py").text
    path = tmp_path / "gunicorn.conf.py"
    path.write_text(configuration)
    server = site(options=("-c", str(path)))

    def lines():
        return re.findall(r'"GET (\S+) HTTP/1\.1" (\d+) \d+ ([\d.]+)$', server.text, re.MULTILINE)

    with server.room() as client:
        # The line of the page comes before that of the WebSocket, which was there before.
        server.page()
        eventually(lines)
        assert [path for path, _, _ in lines()] == ["/page/"]
        client.close()
    elapsed = server.visit()
    server.fail()
    if recipe_used:
        server.page()
        server.stop()
        assert [line[:2] for line in lines()] == [("/page/", "200")] * 2
    else:
        page, *rest = eventually(lines, lambda lines: len(lines) > 3)
        assert page[:2] == ("/page/", "200")
        # That of the exception too.
        assert [line[:2] for line in rest] == [("/room/tea/", "101")] * 3
        assert max(float(life) for _, _, life in rest) >= elapsed


@as_it_is_and_with_the_recipe
def test_statsd(site, tmp_path, recipe_used):
    """Guards the sentence on the class to inherit from; without the recipe gunicorn takes that class itself."""
    configuration = recipe("gunicorn.conf.py").text
    for old, new in {
        "from gunicorn.glogging import Logger\n": "from gunicorn.instrument.statsd import Statsd\n",
        "(Logger)": "(Statsd)",
    }.items():
        assert old in configuration
        configuration = configuration.replace(old, new)
    path = tmp_path / "gunicorn.conf.py"
    path.write_text(configuration if recipe_used else "")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind((HOST, 0))
        server = site(options=("-c", str(path), "--statsd-host", f"{HOST}:{statsd.getsockname()[1]}"))
        server.visit()
        server.page()
        server.stop()
        statsd.setblocking(False)
        messages = []
        with suppress(BlockingIOError):
            while True:
                messages.append(statsd.recv(1024).decode())
    statuses = [message for message in messages if message.startswith("gunicorn.request.status.")]
    durations = [message for message in messages if message.startswith("gunicorn.request.duration:")]
    # One of the pages is that which has found the server ready.
    assert sum(".status.200:" in message for message in statuses) >= 2
    assert sum(".status.101:" in message for message in statuses) == (0 if recipe_used else 1)
    assert len(durations) == len(statuses)


@pytest.mark.usefixtures("nginx")
def test_nginx(site, tmp_path):
    """Guards the map. What nginx would log without it is beside it, in a log that the tests have anyway."""
    server = site(files={"mysite/settings.py: proxy": BEHIND_TLS})
    block = recipe("nginx.conf").text
    assert block.count("/var/log/nginx/") == 2
    # What begins the site of the deployment page, within the block "http".
    begin = "map $http_upgrade $connection_upgrade {"
    changes = {begin: block.replace("/var/log/nginx/", f"{tmp_path}/") + begin}
    nginx = Nginx(tmp_path / "nginx", f"http://{HOST}:{server.port}", changes=changes)
    try:
        with connect(nginx.url("/room/tea/"), origin=nginx.origin, ssl=insecure(), proxy=None) as client:
            elapsed = talk(client)
        with nginx.connect() as sock:
            sock.sendall(f"GET /page/ HTTP/1.0\r\nHost: {nginx.host}\r\n\r\n".encode())
            assert b"".join(iter(lambda: sock.recv(65536), b"")).endswith(b"page")
        # Each of the lines is the last for its request.
        eventually(lambda: all((tmp_path / name).stat().st_size for name in ("access.log", "websockets.log")))
    finally:
        nginx.stop()
    everything = (tmp_path / "nginx" / "access.log").read_text()
    plain, websockets = ((tmp_path / name).read_text() for name in ("access.log", "websockets.log"))
    assert everything.count('" 101 ') == everything.count("/page/") == 1
    assert (plain.count("/page/"), plain.count('" 101 ')) == (1, 0)
    (line,) = websockets.splitlines()
    size, life = re.findall(r'"GET /room/tea/ HTTP/1\.1" 101 (\d+) bytes, ([\d.]+) s$', line)[0]
    assert int(size) > len("welcome to tea")
    # nginx rounds to milliseconds.
    assert float(life) >= elapsed - 0.002


# Sentry

#: What the first page of Sentry's documentation says.
SENTRY = """
import os

import sentry_sdk

sentry_sdk.init(dsn=os.environ["SENTRY_DSN"], traces_sample_rate=1.0)
"""
#: The trace of a caller who is sampled, so that nothing is left to chance.
SAMPLED = "5" * 32


@as_it_is_and_with_the_recipe
def test_sentry(site, recipe_used):
    """Guards the sampler, and the filter of the warning, by what a service gets."""
    captions = ["mysite/settings.py: warnings", "mysite/settings.py: Sentry"] if recipe_used else []
    files = {} if recipe_used else {"mysite/settings.py: Sentry": SENTRY}
    with Sentry() as sentry:
        server = site(*captions, files=files, environment={"SENTRY_DSN": sentry.dsn})
        elapsed = server.visit()
        server.fail()
        request = Request(f"{server.origin}/page/", headers={"sentry-trace": f"{SAMPLED}-{'7' * 16}-1"})
        assert urlopen(request, timeout=10).read() == b"page"
        # What has not been sent before is sent at the end.
        server.stop()
    (event,) = sentry.of("event")
    assert event["exception"]["values"][-1]["type"] == "ValueError"
    assert event["transaction"] == "/room/{name}/"
    rooms = [transaction for transaction in sentry.of("transaction") if transaction["transaction"] == "/room/{name}/"]
    traces = [transaction["contexts"]["trace"]["trace_id"] for transaction in sentry.of("transaction")]
    assert traces.count(SAMPLED) == 1
    if recipe_used:
        assert rooms == []
    else:
        assert [room["contexts"]["trace"]["status"] for room in rooms] == ["ok", "ok"]
        assert max(seconds(room["start_timestamp"], room["timestamp"]) for room in rooms) >= elapsed
    assert ("EventletDeprecationWarning" in server.log.read_text()) is not recipe_used


def seconds(begin, end):
    """Return the time between two timestamps."""
    begin, end = (datetime.fromisoformat(value.replace("Z", "+00:00")) for value in (begin, end))
    return (end - begin).total_seconds()


# OpenTelemetry

#: Real spans and metrics, a line of JSON each, in files.
TELEMETRY = """
import os

from django.core.wsgi import get_wsgi_application
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor


def line(item):
    return item.to_json(indent=None) + "\\n"


def lines(name):
    return {"out": open(os.path.join(os.environ["TELEMETRY"], name), "w"), "formatter": line}


spans = TracerProvider()
spans.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(**lines("spans"))))
trace.set_tracer_provider(spans)
metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(ConsoleMetricExporter(**lines("metrics")))]))
DjangoInstrumentor().instrument()
application = get_wsgi_application()
"""


@as_it_is_and_with_the_recipe
def test_opentelemetry(site, tmp_path, recipe_used):
    """Guards the excluded addresses, and the view with spans of its own."""
    (command,) = [block.text for block in blocks("seeing") if block.text.startswith("export OTEL_")]
    ((name, value),) = re.findall(r'export (\w+)="(.*)"', command)
    server = site(
        *(["mysite/views.py", "mysite/telemetry.py"] if recipe_used else []),
        files={"mysite/wsgi.py": TELEMETRY}
        | ({"mysite/urls.py: telemetry": "from . import telemetry\n"} if recipe_used else {}),
        environment={"TELEMETRY": str(tmp_path), **({name: value} if recipe_used else {})},
    )
    elapsed = server.visit()
    server.fail()
    server.page()
    # Metrics are exported at the end.
    server.stop()
    spans = [json.loads(line) for line in (tmp_path / "spans").read_text().splitlines()]
    assert "GET page/" in [span["name"] for span in spans]
    rooms = [span for span in spans if "room" in span["name"]]
    failed = [span for span in rooms if span["status"]["status_code"] == "ERROR"]
    assert [span["events"][0]["attributes"]["exception.type"] for span in failed] == ["ValueError"]
    metrics = points(tmp_path)
    durations = {
        point["attributes"]["http.target"]: point["sum"]
        for point in metrics["http.server.duration"]
        # Without a route, it has found the server ready.
        if "http.target" in point["attributes"]
    }
    assert "page/" in durations
    if recipe_used:
        assert set(durations) == {"page/"}
        handshakes = [span for span in rooms if span["name"] == "room handshake"]
        messages = [span for span in rooms if span["name"] == "room message"]
        assert len(rooms) == len(handshakes) + len(messages)
        # One message has failed.
        origins = [handshakes[0]["context"]] * MESSAGES + [handshakes[1]["context"]]
        assert [message["links"][0]["context"] for message in messages] == origins
        assert failed == messages[-1:]
        assert {span["parent_id"] for span in rooms} == {None}
        assert len({span["context"]["trace_id"] for span in rooms}) == len(rooms)
        assert {span["attributes"]["http.route"] for span in rooms} == {"room/<name>/"}
        (active,) = metrics["django_websocket.server.active_connections"]
        assert (active["value"], active["attributes"]["http.route"]) == (0, "room/<name>/")
        lives = {
            point["attributes"]["close_code"]: point for point in metrics["django_websocket.server.connection.duration"]
        }
        assert [(code, point["count"]) for code, point in sorted(lives.items())] == [(1000, 1), (1011, 1)]
        assert lives[1000]["sum"] >= elapsed
        assert lives[1000]["explicit_bounds"][-1] == 86400
    else:
        assert [span["name"] for span in rooms] == ["GET room/<name>/"] * 2
        assert max(seconds(span["start_time"], span["end_time"]) for span in rooms) >= elapsed
        # It is in whole milliseconds.
        assert durations["room/<name>/"] >= elapsed * 1000 - 1


def points(directory):
    """Return the points of each metric by its name."""
    (line,) = (directory / "metrics").read_text().splitlines()
    return {
        metric["name"]: metric["data"]["data_points"]
        for resource in json.loads(line)["resource_metrics"]
        for scope in resource["scope_metrics"]
        for metric in scope["metrics"]
    }


# django-prometheus

#: As its own documentation says, with our middleware before them.
PROMETHEUS = """
MIDDLEWARE = [
    "django_websocket.middleware.WebSocketMiddleware",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
"""
#: The page that Prometheus reads, and a view whose client is gone when it sends.
EXPORT = """
from django.urls import include
from django_websocket import require_websocket


@require_websocket
def late(request):
    request.websocket.close()
    request.websocket.send("too late")


urlpatterns += [path("late/", late, name="late"), path("", include("django_prometheus.urls"))]
"""
#: What is counted outside all other middleware, without labels.
REQUESTS = "django_http_requests_before_middlewares_total"
RESPONSES = "django_http_responses_before_middlewares_total"
KNOWN = "django_http_requests_latency_including_middlewares_seconds_{}"
UNKNOWN = "django_http_requests_unknown_latency_including_middlewares_total"
#: What is counted for a view.
ENDED = 'django_http_responses_total_by_status_view_method_total{{method="GET",status="{}",view="{}"}}'
LATENCY = 'django_http_requests_latency_seconds_by_view_method_{}{{method="GET",view="{}"}}'
EXCEPTIONS = 'django_http_exceptions_total_by_view_total{{view="{}"}}'


@as_it_is_and_with_the_recipe
def test_django_prometheus(site, recipe_used):
    """Guards the subclasses by what a Prometheus would read."""
    captions = ["mysite/metrics.py", "mysite/settings.py: MIDDLEWARE"] if recipe_used else []
    files = {} if recipe_used else {"mysite/settings.py: MIDDLEWARE": PROMETHEUS}
    server = site(*captions, files={"mysite/urls.py: export": EXPORT, **files})

    def samples():
        status, body = server.get("/metrics")
        assert status == 200
        return {name: float(value) for name, value in re.findall(r"^([^#\s]\S*) (\S+)$", body.decode(), re.MULTILINE)}

    def all_counted(samples):
        """Return whether everything has ended but the request for the samples itself."""
        return samples[REQUESTS] - 1 == samples[RESPONSES] == samples[KNOWN.format("count")] + samples[UNKNOWN]

    elapsed = server.visit()
    server.fail()
    with connect(server.url("/late/"), origin=server.origin, proxy=None) as client:
        assert list(client) == []
    server.page()
    found = eventually(samples, all_counted)
    # Inside of our middleware, the response to the exception is a 500, which is not sent.
    assert [found[ENDED.format(*end)] for end in ((101, "room"), (500, "room"), (101, "late"))] == [1, 1, 1]
    assert found[EXCEPTIONS.format("room")] == 1
    assert EXCEPTIONS.format("late") not in found
    # That of the test, and those by which it was seen that the server is ready.
    assert found[LATENCY.format("count", "page")] > 1
    if recipe_used:
        assert found[UNKNOWN] == 3
        assert LATENCY.format("count", "room") not in found
    else:
        assert found[UNKNOWN] == 0
        assert found[KNOWN.format("sum")] >= elapsed
        assert found[LATENCY.format("sum", "room")] >= elapsed
