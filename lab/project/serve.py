"""Start a server that has no command line of its own: ``python -m lab.project.serve KIND [CERTIFICATE] PORT``.

With a certificate it speaks TLS; the file holds the key as well.
"""

import os
import ssl
import sys

HOST = "127.0.0.1"
#: The most connections at a time, more than any test opens.
ROOM = 4096
#: Threads of a pool.
THREADS = 128


def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def wsgiref(port, certificate=None):
    from wsgiref.simple_server import make_server

    from .wsgi import application

    make_server(HOST, port, application).serve_forever()


def eventlet(port, certificate=None):
    import eventlet
    import eventlet.wsgi

    from .wsgi import application

    listener = eventlet.listen((HOST, port), backlog=256)
    if certificate is not None:
        listener = eventlet.wrap_ssl(listener, certfile=certificate, keyfile=certificate, server_side=True)
    # By default its pool has 1024 greenlets.
    eventlet.wsgi.server(listener, application, max_size=ROOM)


def eventlet_patched(port, certificate=None):
    import eventlet as library

    library.monkey_patch()
    eventlet(port, certificate)


def gevent(port, certificate=None):
    from gevent.pywsgi import WSGIServer

    from .wsgi import application

    # From file names it makes a context of gevent. A context of the standard library would block the hub.
    options = {} if certificate is None else {"certfile": certificate, "keyfile": certificate}
    WSGIServer((HOST, port), application, backlog=256, **options).serve_forever()


def gevent_patched(port, certificate=None):
    from gevent import monkey

    monkey.patch_all()
    gevent(port, certificate)


def werkzeug(port, certificate=None):
    from werkzeug.serving import run_simple

    from .wsgi import application

    context = None if certificate is None else tls(certificate)
    run_simple(HOST, port, application, threaded=True, ssl_context=context)


def cheroot(port, certificate=None):
    from cheroot.ssl.builtin import BuiltinSSLAdapter
    from cheroot.wsgi import Server

    from .wsgi import application

    server = Server((HOST, port), application, numthreads=THREADS, request_queue_size=256)
    if certificate is not None:
        server.ssl_adapter = BuiltinSSLAdapter(certificate, certificate)
    server.safe_start()


def waitress(port, certificate=None):
    from waitress import serve

    from .wsgi import application

    # By default it reads no request before the previous one is answered.
    lookahead = int(os.environ.get("LIVE_LOOKAHEAD", "0"))
    serve(
        application,
        host=HOST,
        port=port,
        threads=THREADS,
        connection_limit=ROOM,
        channel_request_lookahead=lookahead,
    )


def bjoern(port, certificate=None):
    import bjoern as library

    from .wsgi import application

    library.run(application, HOST, port)


def uwsgi(port, certificate=None):
    import pyuwsgi

    pyuwsgi.run(["--http-socket", f"{HOST}:{port}", "--die-on-term", "--need-app", "--module", "lab.project.wsgi"])


SERVERS = [wsgiref, eventlet, eventlet_patched, gevent, gevent_patched, werkzeug, cheroot, waitress, bjoern, uwsgi]

if __name__ == "__main__":
    name, *certificate, port = sys.argv[1:]
    {serve.__name__: serve for serve in SERVERS}[name](int(port), *certificate)
