"""The code blocks of the documentation, annotated as the page on views says.

The blocks have no annotations, because few projects have any. They are added here by rule, in place, so that a checker
reports the lines of the page: the type of the request follows from the decorator, and everything else that is not known
is ``Any``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ..test_docs import ROOT, code_blocks

#: The pages with views, and tests of views.
WITH_VIEWS = ("README.rst", *(f"docs/{name}.rst" for name in ("groups", "quickstart", "testing", "tutorial", "views")))
#: The first line of each file; it is blank in the blocks.
PREAMBLE = "from __future__ import annotations; import typing; import django.http; import django_websocket"
#: The type of the request by what is in a decorator of the view, or of its class.
REQUESTS = {
    "require_websocket": "django_websocket.WebSocketRequest",
    "accept_websocket": "django_websocket.MaybeWebSocketRequest",
}
PLAIN_REQUEST = "django.http.HttpRequest"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def annotate(source: str) -> str:
    """Return the source with annotations on each function that has none; its first line has to be blank."""
    lines = source.split("\n")
    assert not lines[0], "there is no blank line for the imports"
    insertions = []
    for function, marks in functions(ast.parse(source), frozenset()):
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        named += filter(None, [arguments.vararg, arguments.kwarg])
        for number, argument in enumerate(named):
            if argument.annotation is None and not (number == 0 and argument.arg in {"self", "cls"}):
                annotation = type_of(argument.arg, marks)
                insertions.append((argument.end_lineno, argument.end_col_offset, f": {annotation}"))
        if function.returns is None:
            # The colon before the body; no documented signature goes over two lines.
            line = lines[function.lineno - 1]
            assert line.endswith("):"), line
            insertions.append((function.lineno, len(line.encode()) - 1, f" -> {result_of(function, marks)}"))
    for row, column, text in sorted(insertions, reverse=True):
        line = lines[row - 1].encode()
        lines[row - 1] = (line[:column] + text.encode() + line[column:]).decode()
    lines[0] = PREAMBLE
    return "\n".join(lines)


def functions(node: ast.AST, marks: frozenset[str]) -> Iterator[tuple[Function, frozenset[str]]]:
    """Return each function, and the names of the decorators of this package on it and on its class."""
    for child in ast.iter_child_nodes(node):
        found = marks if isinstance(node, ast.ClassDef) else frozenset()
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            decorators = " ".join(map(ast.unparse, child.decorator_list))
            found |= {name for name in REQUESTS if name in decorators}
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child, found
        yield from functions(child, found)


def type_of(argument: str, marks: frozenset[str]) -> str:
    """Return the type of an argument."""
    if argument != "request":
        return "typing.Any"
    return next((REQUESTS[mark] for mark in REQUESTS if mark in marks), PLAIN_REQUEST)


def result_of(function: Function, marks: frozenset[str]) -> str:
    """Return the type of what a function returns."""
    nodes = list(own_nodes(function))
    if not any(isinstance(node, ast.Return) and node.value is not None for node in nodes):
        return "typing.Any" if any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in nodes) else "None"
    return "django.http.HttpResponseBase | None" if marks else "typing.Any"


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """Return what is in a function, but not in the functions in it."""
    inside = list(ast.iter_child_nodes(function))
    while inside:
        node = inside.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            inside.extend(ast.iter_child_nodes(node))


def write_documentation(project: Path) -> None:
    """Write the blocks that hold views or tests of them into a project, each as a file of its own.

    Those of the tutorial are the files of its application, which the settings of the project install.
    """
    written = set()
    for name in WITH_VIEWS:
        page = ROOT / name
        lines = page.read_text(encoding="utf-8").split("\n")
        for block in code_blocks(name, "\n".join(lines)):
            if page.stem == "tutorial":
                caption = re.fullmatch(r" +:caption: (chat/\w+\.py)", lines[block.line])
                path = None if caption is None else caption[1]
            else:
                has_views = any(word in block.source for word in (*REQUESTS, "TestCase"))
                # The types of Django REST framework are a project of their own.
                wanted = has_views and "rest_framework" not in block.source
                path = f"documented/{page.stem}_{block.line}.py" if wanted else None
            if path is not None:
                write(project / path, annotate(block.source))
                written.add(name)
    assert written == set(WITH_VIEWS)
    for path in ("documented/__init__.py", "chat/__init__.py"):
        write(project / path, "")
    write(
        project / "documented_settings.py",
        'from tests.settings import *\n\nINSTALLED_APPS = [*INSTALLED_APPS, "chat"]\n',
    )


def write(path: Path, text: str) -> None:
    """Write a file, and make its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
