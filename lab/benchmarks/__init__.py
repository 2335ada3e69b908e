"""Measure the package against raw sockets and against other libraries. README.rst has the rest."""
