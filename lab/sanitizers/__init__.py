"""The compiled code under sanitizers, and the references that it holds. README.rst has the rest."""
