"""The WSGI application.

A WSGI middleware around it replaces the ``wsgi.input`` of a request whose header ``X-Stream`` says how.
"""

import io
import os
from functools import partial

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lab.project.settings")


class Wrapper:
    """A stream around another one, of which nothing else is to be seen, as agents install it to count bytes."""

    __slots__ = ("read", "readline", "readlines")

    def __init__(self, stream):
        self.read = partial(stream.read)
        self.readline = partial(stream.readline)
        self.readlines = partial(stream.readlines)


def wrap(environ):
    """Return an opaque wrapper around the stream of a request."""
    return Wrapper(environ["wsgi.input"])


def buffer(environ):
    """Return a copy of the body of a request, as middleware does that reads the body first."""
    return io.BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


STREAMS = {"wrap": wrap, "buffer": buffer}
_inner = get_wsgi_application()


def application(environ, start_response):
    if stream := environ.get("HTTP_X_STREAM"):
        environ["wsgi.input"] = STREAMS[stream](environ)
    return _inner(environ, start_response)
