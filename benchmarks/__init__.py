"""Measure the package against raw sockets and against other libraries."""
