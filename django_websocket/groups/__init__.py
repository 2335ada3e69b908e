"""Groups: one message to many WebSockets, whichever process serves them."""
