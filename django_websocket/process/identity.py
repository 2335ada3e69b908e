"""The identity of this process among all that serve the site, and serial numbers within it."""

from __future__ import annotations

import itertools
import os
import re
import secrets
from typing import Final

_ID: Final = re.compile(r"[0-9a-f]{12}/[0-9]{1,20}", re.ASCII)


class Identity:
    """The identity of this process. It is made at first use: a forked child has its own. Thread-safe."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the identity, in a forked child: it is that of its parent."""
        # setdefault() is atomic: threads that make the identity at once get the same one.
        self._made: dict[str, str] = {}
        self._serials = itertools.count(1)

    @property
    def process_id(self) -> str:
        """Twelve hexadecimal digits."""
        return self._made.get("id") or self._made.setdefault("id", secrets.token_hex(6))

    def next_id(self) -> str:
        """Return a text that names one thing of this process: the :attr:`process_id` and a serial number."""
        return f"{self.process_id}/{next(self._serials)}"


def is_id(text: str) -> bool:
    """Return whether ``text`` may come from :meth:`Identity.next_id` of some process: a client may have sent it."""
    return _ID.fullmatch(text) is not None


identity: Final = Identity()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=identity.reset)
