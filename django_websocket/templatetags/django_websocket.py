"""``{% load django_websocket %}``: the template tag ``{% websocket_url %}``."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.template import Library, Node
from django.template.base import Parser, Token
from django.template.context import Context
from django.template.defaulttags import URLNode, url
from django.urls import NoReverseMatch
from django.utils.html import conditional_escape

from ..handshake.uris import build_websocket_uri

register = Library()


@register.tag
def websocket_url(parser: Parser, token: Token) -> Node:
    """Return the absolute ``ws://`` or ``wss://`` URL of a view; the arguments are those of ``{% url %}``.

    ::

        {% load django_websocket %}
        <body data-url="{% websocket_url "room" room.pk %}">
        {% websocket_url "room" pk=room.pk as room_url %}

    The host is that of the request, and the scheme ``wss`` if the request is secure. As with ``{% url %}``, ``as``
    sets a variable, which is empty if there is no such view.

    :raises NoReverseMatch: there is no such view.
    :raises ImproperlyConfigured: the template is rendered without a request.
    """
    return WebSocketURLNode(url(parser, token))


class WebSocketURLNode(Node):
    """The tag in a template: a ``{% url %}`` with a scheme and a host in front."""

    child_nodelists = ()

    def __init__(self, node: URLNode) -> None:
        self.asvar, node.asvar = node.asvar, None
        self.node = node

    def render(self, context: Context) -> str:
        """Return the URL, or set the variable.

        :raises Exception: the errors of :func:`websocket_url`.
        """
        uri = self._build(_find_request(context), context)
        if self.asvar is not None:
            context[self.asvar] = uri
            return ""
        return conditional_escape(uri) if context.autoescape else uri

    def _build(self, request: Any, context: Context) -> str:
        # The path is escaped together with the rest, and not at all in a variable.
        autoescape, context.autoescape = context.autoescape, False
        try:
            path = self.node.render(context)
        except NoReverseMatch:
            if self.asvar is None:
                raise
            return ""
        finally:
            context.autoescape = autoescape
        return build_websocket_uri(request, path)


def _find_request(context: Context) -> Any:
    """Return the request with which a template is rendered, or a wrapper of Django REST framework around it.

    :raises ImproperlyConfigured: there is none.
    """
    request = getattr(context, "request", None) or context.get("request")
    if not hasattr(request, "build_absolute_uri"):
        raise ImproperlyConfigured(
            "{% websocket_url %} needs the request, because the URL is of its host: render the template with "
            "render(request, ...), or pass request= to render_to_string() or send_template()"
        )
    return request
