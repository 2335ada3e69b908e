"""Run the Autobahn test suite against the servers of the live tests. README.rst has the rest."""
