"""The diagnosis of a WebSocket that does not work: ``manage.py websocket_doctor``.

The doctor is a client. It opens a WebSocket through whatever stands between it and the server, with the client side of
:mod:`django_websocket.protocols`, and compares what it is answered with what this package, the servers and the proxies
are known to answer. Without an address it looks at the project that it runs in.
"""
