"""Serve the project on eventlet's own server.

``python deploy/serve_eventlet.py [PORT]``, in the directory of ``manage.py``.
"""

import eventlet

# This has to run before all other imports, because it replaces the blocking functions that those import.
eventlet.monkey_patch()

import sys
from pathlib import Path

import eventlet.wsgi

sys.path.insert(0, str(Path(__file__).parent.parent))

from example_project.wsgi import application

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8000

eventlet.wsgi.server(
    # The proxy runs on the same machine. The backlog holds the connections that wait while max_size others are open.
    eventlet.listen(("127.0.0.1", PORT), backlog=128),
    application,
    # Connections at a time, including those of plain requests. A lower WEBSOCKET_MAX_CONNECTIONS leaves room for these.
    max_size=1000,
    # Seconds that a connection may stay idle between two requests. This does not limit WebSockets.
    keepalive=5,
)
