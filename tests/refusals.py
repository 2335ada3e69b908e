"""The refusals of a handshake, as the documentation has them."""

import logging
from dataclasses import dataclass, field, replace

from django_websocket import servers
from django_websocket.handshake import remedies

NO_KEY = "the Sec-WebSocket-Key is missing or malformed"
NO_CONNECTION = "the Connection header does not name upgrade"
NO_VERSION = "the Sec-WebSocket-Version is missing or unsupported"
NO_BODY = "a WebSocket handshake has no body"
NO_GET = "a WebSocket handshake is a GET request"
HTTP11 = "a WebSocket handshake needs HTTP/1.1 (a proxy before this server may speak 1.0 to it)"


@dataclass(frozen=True)
class Fault:
    """A request with something wrong, and the answer to it."""

    text: str
    status: int = 400
    path: str = "/unreachable/"
    changes: dict = field(default_factory=dict)
    connection: bool = True
    draining: bool = False
    full: bool = False
    level: int = logging.WARNING
    #: What only the log record says.
    detail: str = ""

    def and_also(self, other):
        """Return a request with the faults of both; the text is that of this one."""
        return replace(
            self,
            path=max(self.path, other.path, key=["/unreachable/", "/strict/", "/plain/"].index),
            changes={**other.changes, **self.changes},
            connection=self.connection and other.connection,
            draining=self.draining or other.draining,
            full=self.full or other.full,
        )


#: In the order of the documentation, which is the order of the checks.
FAULTS = {
    "malformed": Fault(NO_KEY, changes={"HTTP_SEC_WEBSOCKET_KEY": "x"}),
    "view": Fault("this address takes no WebSockets", path="/plain/", detail=f"; {remedies.UNMARKED_VIEW}"),
    "host": Fault(
        "the Host header is not allowed",
        changes={"HTTP_HOST": "evil.example"},
        detail=f" (it says evil.example); {remedies.REPLACED_HOST}; {remedies.UNKNOWN_HOST}",
    ),
    "origin": Fault(
        "the Origin is not allowed",
        403,
        changes={"HTTP_ORIGIN": "https://evil.example"},
        detail=" (this site is http://testserver, the page is of https://evil.example); "
        f"{remedies.REPLACED_HOST}; {remedies.NOT_TRUSTED}",
    ),
    "no socket": Fault(
        f"this server gives no access to its sockets; {servers._WORKING}",
        connection=False,
        level=logging.ERROR,
    ),
    "draining": Fault("the server is restarting", 503, draining=True),
    "full": Fault("the server has no room for more WebSockets", 503, full=True),
}
