"""A project with the metrics of the documentation: its own view, and that of django-prometheus.

Its directory has the files of the page on Prometheus.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from lab.kinds import Kind
from lab.project.server import Server
from lab.servers import ROOT, eventually, gunicorn

from .typed import blocks, write

#: Seconds between two writes, so that a test need not wait for long.
INTERVAL = 0.2
ROUTE = "talk/<int:number>/"

_URLS = f"""
import os

from django.http import HttpResponseForbidden
from django.urls import path
from django_prometheus.exports import ExportToDjangoView
from django_websocket import Group, require_websocket
from django_websocket.prometheus import writer
from lab.project.urls import urlpatterns as others
from metrics import metrics

writer.INTERVAL = {INTERVAL}


@require_websocket
def talk(request, number):
    with Group("talkers").joined(request.websocket):
        for message in request.websocket:
            request.websocket.send(f"{{os.getpid()}} {{message}}")


@require_websocket
def forbid(request):
    return HttpResponseForbidden("not you")


@require_websocket
def reject(request):
    request.websocket.reject(4401)


urlpatterns = [
    *others,
    path("metrics/", metrics),
    path("django_prometheus/metrics", ExportToDjangoView),
    path("{ROUTE}", talk),
    path("forbid/", forbid),
    path("reject/", reject),
]
"""


#: The error of a scrape that finds a file which another process has made, and not yet given its size:
#: https://github.com/prometheus/client_python/issues/1199.
_EMPTY_FILE = "unpack_from requires a buffer of at least 4 bytes"


class Metered(Server):
    """A gunicorn that serves the project."""

    def __init__(self, directory: Path, kind: Kind, *options: str, several: bool) -> None:
        """Start it; with ``several`` by the configuration of the page, which has two workers."""
        for block in blocks("prometheus"):
            if block.language == "python":
                write(directory, block)
        (directory / "metered_urls.py").write_text(_URLS, encoding="utf-8")
        self.files = directory / "metrics"
        configuration = ("--config", str(directory / "gunicorn.conf.py")) if several else ()
        worker = kind.arguments[kind.arguments.index("--worker-class") + 1]
        environment = {"PYTHONPATH": os.pathsep.join([str(directory), str(ROOT)])}
        super().__init__(
            kind,
            directory / "log",
            settings={
                "INSTALLED_APPS": ["django_websocket", "django_websocket.prometheus"],
                "ROOT_URLCONF": "metered_urls",
            },
            arguments=gunicorn(worker, *configuration, *options, "lab.project.wsgi:application"),
            environment={**environment, **({"PROMETHEUS_MULTIPROC_DIR": str(self.files)} if several else {})},
            strict=False,
        )

    def metrics(self, path: str = "/metrics/") -> dict[tuple[str, ...], float]:
        """Scrape; return the values that are not 0, by name and values of labels in the order of their names.

        The times at which prometheus_client has made the metrics are left out.
        """
        # An accident of prometheus_client's, and over when the other process has gone on.
        status, body = eventually(
            lambda: self.get(path), lambda answer: answer[0] != 500 or _EMPTY_FILE not in self.text
        )
        assert status == 200, body
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
            if sample.value and sample.name.startswith("django_websocket_") and not sample.name.endswith("_created")
        }

    def value(self, name: str, *labels: Any) -> float:
        """Scrape; return one value. The name is without ``django_websocket_``."""
        return self.metrics().get((f"django_websocket_{name}", *labels), 0)
