"""The decision whether a request may become a WebSocket."""
