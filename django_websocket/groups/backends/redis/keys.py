"""The names of keys and channels in Redis."""

from __future__ import annotations


class Keys:
    """The names of the keys and channels of a site; see :mod:`.scripts`."""

    def __init__(self, prefix: str) -> None:
        """Remember the option ``PREFIX``."""
        self._prefix = prefix
        #: The processes that live.
        self.processes = f"{prefix}:{{p}}:z"
        #: What the channels of all processes begin with.
        self.own_channels = f"{prefix}:p:"

    def of_group(self, group: str, kind: str) -> str:
        """Return a key of a group, or its channel; ``kind`` is the letter."""
        return f"{self._prefix}:{{{group}}}:{kind}"

    def numbers(self, group: str) -> list[str]:
        """Return the keys of the scripts that number messages."""
        return [self.of_group(group, "m"), self.of_group(group, "h")]

    def presence(self, group: str) -> list[str]:
        """Return the keys of the scripts that keep the names."""
        return [self.of_group(group, "n"), self.of_group(group, "w")]

    def channel(self, group: str) -> str:
        """Return the channel of a group."""
        return self.of_group(group, "c")

    def groups_of(self, process: str) -> str:
        """Return the key of the groups in which a process has members."""
        return f"{self._prefix}:{{p}}:g:{process}"

    def sweeper_of(self, process: str) -> str:
        """Return the key of the process that sweeps a dead one."""
        return f"{self._prefix}:{{p}}:s:{process}"

    def own_channel(self, process: str) -> str:
        """Return the channel of a process itself."""
        return f"{self.own_channels}{process}"

    def answers(self, question: str) -> str:
        """Return the key of the answers to a question."""
        return f"{self._prefix}:{{p}}:a:{question}"
