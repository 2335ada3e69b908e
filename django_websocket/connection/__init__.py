"""Messages and time: an open protocol over an open transport. Nothing here knows a server or Django."""
