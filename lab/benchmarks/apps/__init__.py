"""The servers that are measured, each a few lines: what its own documentation shows, and nothing to make it slow."""
