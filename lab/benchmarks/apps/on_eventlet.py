"""A WSGI application on ``eventlet.wsgi``, the project or that of flask-sock.

``python -m lab.benchmarks.apps.on_eventlet MODULE:NAME PORT``
"""

import eventlet

eventlet.monkey_patch()

import sys
from importlib import import_module

import eventlet.wsgi

if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    listener = eventlet.listen(("127.0.0.1", int(sys.argv[2])), backlog=4096)
    eventlet.wsgi.server(listener, getattr(import_module(module), name), log_output=False, max_size=20_000)
