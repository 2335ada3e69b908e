"""From a request to a yes or a no: whether it may become a WebSocket."""
