"""What was counted already of each open WebSocket, so that each message is counted once."""

from __future__ import annotations

from collections.abc import Iterable

from ..connection.info import ConnectionInfo
from ..connection.stats import ConnectionStats
from .account import Account
from .growth import Growth


class Ledger:
    """The accounts of the open WebSockets. Not thread-safe.

    An account exists from :meth:`open` to :meth:`close`. A look at the connections that began before the end of one of
    them, and is entered after it, finds no account any more, so that nothing is counted a second time.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        #: The open WebSockets of each route that has had any.
        self.open_by_route: dict[str, int] = {}

    def __len__(self) -> int:
        """Return the number of open WebSockets."""
        return len(self._accounts)

    def forget(self) -> None:
        """Forget the accounts, in a forked child: the connections are those of its parent. The routes remain."""
        self._accounts = {}
        self.open_by_route = dict.fromkeys(self.open_by_route, 0)

    def open(self, member_id: str, route: str) -> None:
        """Open the account of a WebSocket that was accepted."""
        self._accounts[member_id] = Account(route)
        self.open_by_route[route] = self.open_by_route.get(route, 0) + 1

    def look(self, infos: Iterable[ConnectionInfo]) -> dict[str, Growth]:
        """Return what has come on top of the counts, by route. Connections without an account are left out."""
        growths: dict[str, Growth] = {}
        for info in infos:
            account = self._accounts.get(info.id)
            if account is not None:
                growth = growths.get(account.route)
                if growth is None:
                    growth = growths[account.route] = Growth()
                account.settle(info, info.latency, growth)
        return growths

    def close(self, member_id: str, stats: ConnectionStats, latency: float | None) -> tuple[str, Growth] | None:
        """Close the account of a WebSocket that has ended; return its route and what has come on top of its counts.

        Return ``None`` if there is no account: the WebSocket was opened in another process, which has forked this one.
        """
        account = self._accounts.pop(member_id, None)
        if account is None:
            return None
        self.open_by_route[account.route] -= 1
        growth = Growth()
        account.settle(stats, latency, growth)
        return account.route, growth
