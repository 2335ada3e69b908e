"""The project on eventlet's own server: ``python deploy/serve_eventlet.py [PORT]``, where ``manage.py`` is."""

import eventlet

# Before anything else is imported: it replaces whatever blocks.
eventlet.monkey_patch()

import sys
from pathlib import Path

import eventlet.wsgi

sys.path.insert(0, str(Path(__file__).parent.parent))

from example_project.wsgi import application

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8000

eventlet.wsgi.server(
    # Behind a proxy on the same machine. The backlog is what may wait while all of max_size are taken.
    eventlet.listen(("127.0.0.1", PORT), backlog=128),
    application,
    # Connections at a time, plain requests among them. WEBSOCKET_MAX_CONNECTIONS below it leaves room for these.
    max_size=1000,
    # Seconds that a connection may take for its next request. No limit for WebSockets.
    keepalive=5,
)
