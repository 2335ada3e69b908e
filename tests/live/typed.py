"""Pages of the documentation that a test types in: their commands, and their files."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

from lab.servers import ROOT


class Block(NamedTuple):
    """A code block of a page."""

    language: str
    #: The caption; ``""`` if there is none.
    caption: str
    text: str


def blocks(page: str) -> list[Block]:
    """Return the code blocks of a page of ``docs/``, in its order."""
    return blocks_in((ROOT / "docs" / f"{page}.rst").read_text(encoding="utf-8"))


def blocks_in(text: str) -> list[Block]:
    """Return the code blocks of a text that are not within something else, such as an item of a list."""
    found = re.findall(r"^\.\. code-block:: (.+)\n((?:    :.*\n)*)\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    return [
        Block(language, "".join(re.findall(":caption: (.*)", options)), textwrap.dedent(body).strip() + "\n")
        for language, options, body in found
    ]


def write(project: Path, block: Block) -> None:
    """Write the file that the caption of a block names.

    What stands behind a colon says that the block is only a part of the file. A part of the settings may come at their
    end, in place of what they have.
    """
    name, _, is_part = block.caption.partition(": ")
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((path.read_text(encoding="utf-8") if is_part else "") + block.text, encoding="utf-8")
