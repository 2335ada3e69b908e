"""The signals that this package sends.

The sender of the first three is the class ``WebSocket``. They are sent by the thread that serves the view, and an
exception of a receiver is logged by Django and stops nothing.
"""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

#: The handshake of a WebSocket was sent. Arguments: ``request`` and ``websocket``.
websocket_accepted: Final = Signal()
#: A WebSocket has ended, after its view. Arguments: ``request``, ``websocket`` and ``stats``, a
#: :class:`.ConnectionStats`. Each WebSocket that was accepted ends once.
websocket_closed: Final = Signal()
#: A request got no WebSocket, or one that ``reject()`` closes. Arguments: ``request``; ``status``, that of the HTTP
#: response, or the close code of ``reject()``; and ``reason``, a text.
websocket_refused: Final = Signal()
#: Messages of a group were lost on their way to this process, and could not be taken from its history. Arguments:
#: ``group``, its name, and ``lost``, the number of messages, ``None`` if it is not known.
group_gap: Final = Signal()
#: A name is among the members of a group which was not there before. Arguments: ``group`` and ``name``. The signal is
#: sent in every process that has a member of the group.
member_joined: Final = Signal()
#: The last member of a name has left a group. The arguments and the processes are those of :data:`member_joined`.
member_left: Final = Signal()
