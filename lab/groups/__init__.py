"""Run groups across processes, on real servers and a real Redis, and look for losses. README.rst has the rest."""
