"""Open connections: a protocol over a transport, with timers and hooks. No module here imports servers or Django."""
