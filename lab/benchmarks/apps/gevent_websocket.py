"""gevent-websocket on ``gevent.pywsgi``: ``python -m lab.benchmarks.apps.gevent_websocket PORT``."""

import sys

from gevent.pywsgi import WSGIServer
from geventwebsocket.handler import WebSocketHandler


def echo(environ, start_response):
    ws = environ["wsgi.websocket"]
    while (message := ws.receive()) is not None:
        ws.send(message)
    return []


if __name__ == "__main__":
    address = ("127.0.0.1", int(sys.argv[1]))
    WSGIServer(address, echo, handler_class=WebSocketHandler, log=None, backlog=4096).serve_forever()
