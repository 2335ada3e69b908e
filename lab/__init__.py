"""The instruments of the project, and the servers they run on. None of it is installed; README.rst has the rest."""
