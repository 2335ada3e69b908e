"""Metrics for Prometheus: an application of its own, ``"django_websocket.prometheus"`` in ``INSTALLED_APPS``.

Nothing else of the package imports it. The counts of a connection are kept by the connection; this application adds
what has come since to its metrics, so that it does nothing when a message passes.
"""
