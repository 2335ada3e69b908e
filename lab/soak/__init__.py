"""Run servers under misbehaving clients, and check what they hold afterwards. README.rst has the rest."""
