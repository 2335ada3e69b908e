"""The WSGI application. LIVE_STREAM names how a WSGI middleware around it replaces ``wsgi.input``, if one does."""

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


application = get_wsgi_application()

if "LIVE_STREAM" in os.environ:
    _replace = {"wrap": wrap, "buffer": buffer}[os.environ["LIVE_STREAM"]]
    _inner = application

    def application(environ, start_response):
        environ["wsgi.input"] = _replace(environ)
        return _inner(environ, start_response)
