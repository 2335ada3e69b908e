"""The servers that have no command line of their own: ``python -m tests.live.project.serve KIND PORT``."""

import sys

HOST = "127.0.0.1"


def wsgiref(port):
    from wsgiref.simple_server import make_server

    from .wsgi import application

    make_server(HOST, port, application).serve_forever()


def eventlet(port):
    import eventlet
    import eventlet.wsgi

    from .wsgi import application

    listener = eventlet.listen((HOST, port), backlog=256)
    # Its pool has 1024 greenlets otherwise.
    eventlet.wsgi.server(listener, application, max_size=4096)


def eventlet_patched(port):
    import eventlet as library

    library.monkey_patch()
    eventlet(port)


if __name__ == "__main__":
    {"wsgiref": wsgiref, "eventlet": eventlet, "eventlet_patched": eventlet_patched}[sys.argv[1]](int(sys.argv[2]))
