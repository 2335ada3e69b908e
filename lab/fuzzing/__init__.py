"""Unexpected inputs for all code that parses bytes from strangers. README.rst has the rest."""
