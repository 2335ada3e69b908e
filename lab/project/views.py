"""The views of the project. The end of each WebSocket is logged by the logger ``live``, where tests read it."""

import json
import logging
import sys
import threading
from collections import Counter
from contextvars import ContextVar
from importlib import import_module

from django.conf import settings
from django.core.signals import got_request_exception, request_finished, request_started
from django.db import connection, transaction
from django.http import (
    HttpResponse,
    HttpResponseForbidden,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)

from django_websocket import ConnectionClosed, Group, require_websocket
from django_websocket.process.threads import start_thread

log = logging.getLogger("live")

# Counts of calls and of Django's signals, by path

counts = {name: Counter() for name in ("called", "started", "finished", "excepted")}
_path = ContextVar("path", default="")
_guard = threading.Lock()


def count(what, path):
    with _guard:
        counts[what][path] += 1


def on_started(environ=None, scope=None, **kwargs):
    path = scope["path"] if environ is None else environ["PATH_INFO"]
    _path.set(path)
    count("started", path)


def on_finished(**kwargs):
    count("finished", _path.get())


def on_exception(request, **kwargs):
    count("excepted", request.path)


request_started.connect(on_started)
request_finished.connect(on_finished)
got_request_exception.connect(on_exception)


def ready(request):
    return HttpResponse("ready")


def tally(request):
    return JsonResponse({what: counter[request.GET["path"]] for what, counter in counts.items()})


def plain(request, key=""):
    """Respond by HTTP only, and count the calls."""
    count("called", request.path)
    return HttpResponse("plain")


def logged(request, key=""):
    """Respond by HTTP only, and log the call, for servers whose process may end before it is asked for its counts.

    Without the length, some servers would close the connection.
    """
    log.info("called %s", request.path)
    return HttpResponse("logged", headers={"Content-Length": "6"})


def ended(request, **details):
    websocket = request.websocket
    details = {"path": request.path, "code": websocket.close_code, "reason": websocket.close_reason, **details}
    log.info("ended %s", json.dumps(details, default=repr))


# The views


@require_websocket
def echo(request, key=""):
    for message in request.websocket:
        request.websocket.send(message)
    ended(request)


@require_websocket(compression=True)
def compress(request):
    for message in request.websocket:
        request.websocket.send(message)
        request.websocket.send(message, compress=False)


@require_websocket(subprotocols=["chat.v2", "chat.v1"])
def negotiate(request):
    request.websocket.send(str(request.websocket.subprotocol))


@require_websocket
def version(request):
    request.websocket.send(request.websocket.version)
    ended(request, message=request.websocket.wait())


@require_websocket
def forbid(request, key=""):
    return HttpResponseForbidden("not you")


@require_websocket
def forbid_at_length(request, key=""):
    return HttpResponseForbidden(b"not you " * 131_072)


@require_websocket
def forbid_in_pieces(request, key=""):
    return StreamingHttpResponse(iter([b"not ", b"you"]), status=403)


@require_websocket
def log_in_first(request, key=""):
    return HttpResponse("log in first")


class Interruption(BaseException):
    """An exception that Django does not convert into a response."""


@require_websocket
def interrupt(request, key=""):
    log.info("called %s", request.path)
    raise Interruption


@require_websocket
def redirect(request, key=""):
    return HttpResponseRedirect("/elsewhere/")


@require_websocket
def fail_early(request, key=""):
    raise RuntimeError("before the handshake")


@require_websocket
def fail(request, key=""):
    request.websocket.wait()
    raise RuntimeError("after the handshake")


@require_websocket
def leave(request, key=""):
    request.websocket.wait()
    sys.exit("the view leaves")


@require_websocket
def return_page(request, key=""):
    """Return a page after the handshake, which no client may receive."""
    request.websocket.wait()
    return HttpResponse("a page")


@require_websocket
def close(request, key=""):
    """Close with the code and the reason in the first message."""
    code, _, reason = request.websocket.wait().partition(" ")
    request.websocket.close(int(code), reason)
    ended(request, left=list(request.websocket))


@require_websocket(close_timeout=0.3)
def close_fast(request, key=""):
    return close.__wrapped__(request, key)


@require_websocket
def collect(request, key=""):
    ended(request, messages=list(request.websocket))


@require_websocket
def collect_after_close(request, key=""):
    """Receive one message while others wait, close, and receive the others after that."""
    websocket = request.websocket
    websocket.wait()
    before = websocket.count_messages()
    websocket.close(4001)
    ended(request, before=before, messages=list(websocket))


@require_websocket(send_timeout=1)
def flood(request, key=""):
    """Send until the client has gone, and do not catch the exception."""
    websocket = request.websocket
    websocket.accept()
    message = b"x" * 65536
    try:
        while True:
            websocket.send(message)
    finally:
        ended(request)


@require_websocket(close_timeout=1)
def gather(request, key):
    """Send what each member sends to all."""
    group = Group(f"gather:{key}")
    with group.joined(request.websocket, request.GET.get("name")):
        for message in request.websocket:
            group.send(" ".join(sorted(group.members())) if message == "who" else message)
    ended(request)


@require_websocket
def hold(request, key=""):
    """Send more than both systems buffer, and close at once."""
    websocket = request.websocket
    for number in range(256):
        websocket.send(b"%c" % number * 65536)
    ended(request)


def sender(websocket, letter):
    number = 0
    try:
        while True:
            number += 1
            websocket.send(f"{letter}{number}:" + letter * 40_000)
    except ConnectionClosed:
        pass


@require_websocket(send_timeout=1.5, ping_interval=None)
def two_senders(request, how, key=""):
    """Send from two threads or greenlets until the connection is given up."""
    websocket = request.websocket
    websocket.accept()
    if how != "threads":
        spawn = import_module(how).spawn
        tasks = [spawn(sender, websocket, letter) for letter in "ab"]
        join = [task.wait if how == "eventlet" else task.join for task in tasks]
    else:
        threads = [threading.Thread(target=sender, args=(websocket, letter)) for letter in "ab"]
        for thread in threads:
            thread.start()
        join = [thread.join for thread in threads]
    messages = list(websocket)
    for wait in join:
        wait()
    ended(request, messages=messages)


@require_websocket(ping_interval=0.2, ping_timeout=1)
def send_and_wait(request, key=""):
    """Send more than both systems buffer, in a thread, while the view waits."""
    websocket = request.websocket
    websocket.accept()
    thread = threading.Thread(target=websocket.send, args=[b"x" * 20_000_000])
    thread.start()
    messages = list(websocket)
    thread.join()
    ended(request, messages=messages)


@require_websocket(ping_interval=0.2, ping_timeout=0.4)
def keepalive(request, key=""):
    for message in request.websocket:
        request.websocket.send(message)
    ended(request)


@require_websocket(ping_interval=0.2, ping_timeout=0.4, send_timeout=30)
def chatter(request, key=""):
    """Wait with timeouts that are shorter than those of the keepalive."""
    websocket = request.websocket
    while not websocket.closed:
        try:
            websocket.wait(timeout=0.05)
        except TimeoutError:
            pass
    ended(request)


@require_websocket
def patient(request, key=""):
    """Wait twice with a timeout that is over before a message comes, and then with a long one."""
    websocket = request.websocket
    for _ in range(2):
        try:
            websocket.wait(timeout=0.05)
        except TimeoutError:
            websocket.send("nothing yet")
    websocket.send(websocket.wait(timeout=30))
    ended(request)


def save(message):
    """Save a message, and return the database's process that did it."""
    name = settings.DATABASES["default"]["OPTIONS"]["application_name"]
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO said VALUES (%s, %s) RETURNING pg_backend_pid()", [name, message])
        return cursor.fetchone()[0]


@require_websocket
def database(request):
    """Send the number of the database's process, and save each message."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        request.websocket.send(cursor.fetchone()[0])
    for message in request.websocket:
        request.websocket.send(save(message))


@require_websocket
@transaction.atomic
def in_transaction(request):
    """Save all messages in one transaction that lasts as long as the WebSocket, as no project should."""
    for message in request.websocket:
        request.websocket.send(save(message))


@require_websocket
def listen(request, key):
    """Send each event of the client and of the group."""
    websocket = request.websocket
    events = Group(key).listen(websocket)
    websocket.send("listening")
    for event in events:
        websocket.send(f"{event.kind} {event.data}")
    ended(request)


def ring(request, how, key):
    """Publish numbers, in the thread or greenlet of the request, or in a native thread."""

    def publish():
        for number in range(40):
            Group(key).send(f"{how} {number}")

    if how == "native":
        start_thread(publish)
    else:
        publish()
    return HttpResponse("ringing")
