"""Work that Django does between two requests, done during a request that lasts for hours."""
