"""Inputs that nobody has thought of, for what reads bytes of strangers: see ``README.rst``."""
