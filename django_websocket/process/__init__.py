"""The state of the process: its open connections, its shutdown, and its native threads."""
