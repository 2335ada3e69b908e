"""``eventlet.websocket`` on ``eventlet.wsgi``: ``python -m lab.benchmarks.apps.eventlet_websocket PORT``."""

import sys

import eventlet
import eventlet.websocket
import eventlet.wsgi


@eventlet.websocket.WebSocketWSGI
def echo(ws):
    while (message := ws.wait()) is not None:
        ws.send(message)


if __name__ == "__main__":
    listener = eventlet.listen(("127.0.0.1", int(sys.argv[1])), backlog=4096)
    eventlet.wsgi.server(listener, echo, log_output=False, max_size=20_000)
