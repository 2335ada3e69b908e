"""The servers that are measured, each as its own documentation shows it, without anything that makes it slow."""
