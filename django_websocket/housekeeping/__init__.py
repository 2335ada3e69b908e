"""What Django does between two requests, done while one request lasts for hours."""
