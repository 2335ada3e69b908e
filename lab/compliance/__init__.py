"""Run the Autobahn test suite against real servers. README.rst has the rest."""
