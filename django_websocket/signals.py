"""The signals that this package sends."""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

#: Messages of a group were lost on their way to this process, and could not be taken from its history. Arguments:
#: ``group``, its name, and ``lost``, the number of messages, ``None`` if it is not known.
group_gap: Final = Signal()
#: A name is among the members of a group which was not there before. Arguments: ``group`` and ``name``. The signal is
#: sent in every process that has a member of the group.
member_joined: Final = Signal()
#: The last member of a name has left a group. The arguments and the processes are those of :data:`member_joined`.
member_left: Final = Signal()
