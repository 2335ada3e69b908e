"""A small site that shows what django-websocket does."""
