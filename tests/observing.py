"""Log records and signals of Django, collected while a request is served."""

from contextlib import contextmanager


def records(caplog, name="django_websocket.handshake"):
    """Return the records of one logger."""
    return [record for record in caplog.records if record.name == name]


@contextmanager
def received(signal):
    """Collect the keyword arguments of each call of a signal's receivers."""
    calls = []

    def receive(**kwargs):
        calls.append(kwargs)

    signal.connect(receive)
    try:
        yield calls
    finally:
        signal.disconnect(receive)
