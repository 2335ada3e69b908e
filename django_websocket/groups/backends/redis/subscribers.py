"""The subscribers of this process: one, or one for each node of a cluster that has a channel for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from ....exceptions import GroupError, GroupUnavailable
from ....process.threads import native_rlock
from .channel import Channel
from .client import Client
from .subscriber import Receiver, Subscriber
from .topologies import Route

logger = logging.getLogger("django_websocket.groups")


class Subscribers:
    """Finds or starts the subscriber for a channel. Thread-safe."""

    def __init__(self, client: Client, receiver: Receiver, own_channel: str, key_of: Callable[[str], str]) -> None:
        self._client = client
        self._receiver = receiver
        self._own_channel = own_channel
        self._key_of = key_of
        self._lock = native_rlock()
        self._subscribers: dict[Route, Subscriber] = {}
        self._former_reconnects = 0
        self._moves = 0
        self._stopped = False

    def ensure(self, channel: Channel) -> None:
        """Subscribe to a channel, unless that was done. In a cluster Redis may be asked for the node.

        :raises GroupError: the node is not known, the system has no room for a thread, or groups are being stopped.
        """
        if channel.subscriber is None and not self._stopped:
            subscriber = self._at(self._client.route(self._key_of(channel.name)))
            with channel.lock:
                is_new = channel.subscriber is None
                if is_new:
                    channel.subscriber = subscriber
            if is_new:
                subscriber.request(channel, wanted=True)
                if subscriber.stopped:
                    # Its node has left the cluster just now, or it was never started. The keeper tries again, unless
                    # the subscriber has handed the channel over already.
                    with channel.lock:
                        if channel.subscriber is subscriber:
                            channel.subscriber = None
        if channel.subscriber is not None:
            channel.subscriber.wake()

    def ensure_all(self, channels: Iterable[Channel]) -> None:
        """Subscribe to all channels, as far as that is possible now."""
        for channel in channels:
            if channel.subscriber is None:
                self.ensure(channel)

    def _at(self, route: Route) -> Subscriber:
        with self._lock:
            found = self._subscribers.get(route)
            if found is not None:
                return found
            if self._stopped:
                raise GroupUnavailable("groups were stopped: the setting has changed")
            found = self._subscribers[route] = Subscriber(
                self._client, self._receiver, self, route=route, own_channel=self._own_channel, key_of=self._key_of
            )
        # A thread is started without the lock, as that waits.
        found.start()
        return found

    def release(self, channel: Channel) -> None:
        """End the subscription of a channel; never waits."""
        if channel.subscriber is not None:
            channel.subscriber.request(channel, wanted=False)

    def move(self, channels: Iterable[Channel]) -> None:
        """Subscribe to channels where they are now. Those that fail are subscribed to later; see :meth:`ensure_all`."""
        channels = list(channels)
        # For their members it is a connection that was made anew.
        with self._lock:
            self._moves += bool(channels)
        for channel in channels:
            channel.unsettle()
            channel.subscriber = None
            try:
                self.ensure(channel)
            except GroupError as error:
                logger.debug("Groups: %s is subscribed to later: %s", ascii(channel.name), error)

    def retire(self, subscriber: Subscriber, route: Route) -> None:
        """Forget a subscriber that has no channel."""
        with self._lock:
            if self._subscribers.get(route) is subscriber:
                del self._subscribers[route]
                self._former_reconnects += max(0, subscriber.connects - 1)

    def stop(self) -> None:
        """End the threads."""
        with self._lock:
            # No other is made from now on.
            self._stopped = True
            subscribers = list(self._subscribers.values())
        for subscriber in subscribers:
            subscriber.stop()

    @property
    def problem(self) -> str:
        """Why messages of other processes do not arrive; ``""`` if they do, or if nobody waits for any."""
        return next((one.problem for one in list(self._subscribers.values()) if one.problem), "")

    @property
    def reconnects(self) -> int:
        """How often a connection was made anew, or its channels were subscribed to at another node."""
        made = sum(max(0, one.connects - 1) for one in list(self._subscribers.values()))
        return made + self._former_reconnects + self._moves
