"""The browser module outside of a browser: its behaviour in Node, its types and its size."""

import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

import django_websocket
from lab.servers import PATIENCE

from ..live.needs import program
from .npm import install

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240), pytest.mark.xdist_group("websocket.js")]

SAMPLES = Path(__file__).parent / "js"
#: What a page loads, in bytes: minified and compressed.
MOST = 2048


@pytest.fixture(scope="module")
def node():
    return program("node", "nodejs")


@pytest.fixture(scope="module")
def programs(node, tmp_path_factory):
    """Return the directory of the TypeScript compiler and of a minifier."""
    return install(tmp_path_factory.mktemp("npm"), "typescript@5", "esbuild@0.25")


def static(name):
    """Return the path of a static file of the package, found as ``collectstatic`` and ``runserver`` find it."""
    path = finders.find(f"django_websocket/{name}")
    assert path is not None
    assert Path(path).is_relative_to(Path(django_websocket.__file__).parent)
    return Path(path)


def run(command, **options):
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=PATIENCE * 5, check=False, **options
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_in_node(node):
    """Guards what no browser shows on demand: hours, other networks, a hundred attempts; see the file itself."""
    output = run([node, "--test", *sorted(SAMPLES.glob("*.test.mjs"))])
    assert re.search(r"\bpass [1-9]", output), output
    assert re.search(r"\bfail 0$", output, re.MULTILINE), output


def test_types(node, programs, tmp_path):
    for source in (static("websocket.d.ts"), SAMPLES / "sample.ts"):
        shutil.copy(source, tmp_path)
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"]
    environment = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    run([programs / "tsc", *options, tmp_path / "sample.ts"], cwd=tmp_path, env=environment)


def test_size(node, programs):
    minified = run([programs / "esbuild", "--minify", static("websocket.js")])
    assert len(gzip.compress(minified.encode(), 9)) <= MOST
    # It needs nothing else.
    assert "import" not in minified
