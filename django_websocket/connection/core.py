"""The fast path of a connection, and the state that it shares with all that is not fast: the twin of compiled code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..protocols.base import Message, Protocol, Shared
from ..speedups import load
from ..transports import Lock
from .backlog import Backlog
from .stats import Cause


class PythonCore:
    """The base class of a connection where nothing is compiled.

    The compiled class has the same attributes and methods. Once :meth:`engage` was called, it reads and writes the
    descriptor itself as long as there is nothing but whole messages, and calls the methods of the connection for
    everything else.
    """

    # A dictionary for this many attributes would be slower, and larger.
    __slots__ = (
        "_corked",
        "_fast_path",
        "_flush_missed",
        "_heard_at",
        "_is_open",
        "_more",
        "_opened_at",
        "_polled_at",
        "_queued",
        "_requested_close",
        "_resources",
        "_revalidate_at",
        "_unsent",
        "_waiting",
        "_whole_limit",
        "bytes_received",
        "bytes_sent",
        "messages",
        "messages_received",
        "messages_sent",
        "protocol",
    )

    protocol: Protocol
    #: Messages that were received and that the view has not taken yet, the first one at index 0. There are few, because
    #: nothing is read while a whole read is queued: a deque would take 700 bytes more for each idle connection.
    messages: list[Message]
    #: The messages that were received, and the bytes of their payload, before compression; text counts as UTF-8.
    messages_received: int
    bytes_received: int
    #: The messages that were sent, or are left to the flusher, and the bytes of their payload.
    messages_sent: int
    bytes_sent: int
    #: Whether whole messages may be taken without further ado: there is nothing to send, fail, close or revalidate.
    _fast_path: bool
    #: Whether a thread waits for messages. It is ``None`` at the beginning, and once the view has asked in vain, until
    #: a message comes: the view has no message to answer then.
    _waiting: bool | None
    #: The rest of a frame that could not be sent at once, or what a corked connection has collected.
    _unsent: bytes | bytearray
    #: Frames of groups that wait for room behind :attr:`_unsent`; ``None`` if there are none.
    _queued: Backlog | None
    #: The code and reason of a Close that is to be sent, and its cause.
    _requested_close: tuple[int, str, Cause] | None
    #: Whether the state of the protocol is ``OPEN``.
    _is_open: bool
    #: The :attr:`.Protocol.whole_limit` of the protocol.
    _whole_limit: int
    #: Whether a flush found another thread writing: that thread flushes when it is done.
    _flush_missed: bool
    #: Whether messages are collected instead of being sent.
    _corked: bool
    #: Whether the last read of compiled code filled its buffer, so that there may be more to read.
    _more: bool
    #: What the hooks have to release before the view waits.
    _resources: Sequence[object]
    #: The time at which the connection was made.
    _opened_at: float
    #: The time at which bytes arrived last.
    _heard_at: float
    #: The time of the last read without waiting.
    _polled_at: float
    #: When the peer is to be revalidated.
    _revalidate_at: float

    if TYPE_CHECKING:

        def fetch(self, timeout: float | None) -> bool:
            """Wait until there is a message; see :meth:`.Connection.fetch`."""

        def _send(self, message: Any, compress: bool | None) -> None: ...

    def take(self) -> Message | None:
        """Return the next message, waiting for it without a limit; ``None`` once none will come.

        One thread at a time.

        :raises RuntimeError: another thread is waiting.
        """
        return self.messages.pop(0) if self.messages or self.fetch(None) else None

    def iterate(self, report_closed: Callable[[], object]) -> Iterator[Message]:
        """Return an iterator over the messages; ``report_closed`` is called once there will be no more.

        The errors are those of :meth:`take`.
        """
        while self.messages or self.fetch(None):
            yield self.messages.pop(0)
        report_closed()

    def send(self, message: str | bytes | bytearray | memoryview, compress: bool | None = None) -> None:
        """Send a message; the arguments and errors are those of :meth:`.WebSocket.send`."""
        self._send(message, compress)

    @staticmethod
    def send_to_all(connections: Iterable[Any], frame: Shared) -> Iterable[Any]:  # noqa: ARG004
        """Send a frame to connections that take all of it at once, and return the others. Thread-safe."""
        return connections

    def engage(self, locks: tuple[Lock, Lock], sock: Any, hub: tuple[Any, float, type[BaseException]] | None) -> None:
        """Use the descriptor of a socket from now on, in this thread, under the locks for reading and writing.

        Only compiled code does. In a hub of greenlets there is a function that waits for bytes, its argument, and the
        error that it raises if none come in time; for threads ``hub`` is ``None``.
        """

    def disengage(self) -> None:
        """Leave the descriptor alone from now on: it is about to be closed."""


if TYPE_CHECKING:
    Core = PythonCore
else:
    _compiled = load("core")
    Core = PythonCore if _compiled is None else _compiled.Core
