"""``{% source "package.module.name" … %}``: the panel with the Python source of views."""

import inspect

from django import template
from django.utils.html import format_html_join
from django.utils.module_loading import import_string

from example_project.highlighting import highlighted

register = template.Library()


@register.inclusion_tag("example_project/source.html")
def source(*names):
    shown = [import_string(name) for name in names]
    files = dict.fromkeys(name.rpartition(".")[0].replace(".", "/") + ".py" for name in names)
    return {
        "source": format_html_join("\n\n\n", "{}", ([highlighted(inspect.getsource(one))] for one in shown)),
        "files": ", ".join(files),
    }
