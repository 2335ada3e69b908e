"""The HTML pages around the WebSocket views. This module does not use WebSockets."""

from django.views.generic import TemplateView


class Page(TemplateView):
    def get(self, request, *args, **kwargs):
        request.session["pages_seen"] = request.session.get("pages_seen", 0) + 1
        return super().get(request, *args, **kwargs)
