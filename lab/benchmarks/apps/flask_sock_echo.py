"""flask-sock, which is simple-websocket: ``lab.benchmarks.apps.flask_sock_echo:app``."""

from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)


@sock.route("/echo")
def echo(ws):
    while True:
        ws.send(ws.receive())
