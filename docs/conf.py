"""Configuration of Sphinx: ``sphinx-build -W -b html docs docs/_build/html``."""

import sys
from pathlib import Path

import django
from django.conf import settings
from sphinx.writers.html5 import HTML5Translator

sys.path.insert(0, str(Path(__file__).parent.parent))

import django_websocket

settings.configure(INSTALLED_APPS=["django_websocket"])
django.setup()

project = "django-websocket"
author = "the django-websocket contributors"
copyright = f"2026, {author}"
version = release = django_websocket.__version__

extensions = ["sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
add_module_names = False

exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"django-websocket {release}"
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["phone.css"]

# Their constructors are not for users.
_WITHOUT_CONSTRUCTOR = {
    "django_websocket.WebSocket",
    "django_websocket.groups.listening.Listening",
    "django_websocket.middleware.WebSocketMiddleware",
    "django_websocket.testing.WebSocketClient",
    "django_websocket.testing.WebSocketSession",
}


def hide_constructor(_app, _what, name, *_rest):
    return ("", None) if name in _WITHOUT_CONSTRUCTOR else None


class Translator(HTML5Translator):
    """Writes the title of its column into each cell, which ``phone.css`` shows where the header row is not."""

    def visit_entry(self, node):
        row, section = node.parent, node.parent.parent
        header = next((part for part in section.parent if part.tagname == "thead"), None)
        number = row.index(node)
        if header is not None and section is not header and number:
            node["data-title"] = header[0][number].astext()
        super().visit_entry(node)

    def starttag(self, node, tagname, suffix="\n", empty=False, **attributes):
        if not isinstance(node, str) and node.get("data-title"):
            attributes["data-title"] = node["data-title"]
        return super().starttag(node, tagname, suffix, empty, **attributes)


def setup(app):
    app.set_translator("html", Translator)
    app.connect("autodoc-process-signature", hide_constructor)
