"""Hold servers under clients that do everything wrong, and see what is left afterwards. README.rst has the rest."""
