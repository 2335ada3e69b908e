"""What is checked on an open WebSocket: a ping, silence, an echo, and the closing handshake."""

from __future__ import annotations

from typing import Final

from ..exceptions import UnsupportedFeature
from ..protocols.close_codes import CloseCode
from .answers import judge_close
from .clients import Client
from .deadlines import Deadline
from .reports import Report

_PING: Final = b"websocket_doctor"


class Exchange:
    """The checks on a WebSocket that has just opened, in their order."""

    def __init__(self, client: Client, report: Report, timeout: float) -> None:
        """Begin the checks, which are added to ``report``; each wait but the silence takes ``timeout`` seconds."""
        self._client = client
        self._report = report
        self._timeout = timeout
        self._opened = Deadline(0)

    def check_ping(self) -> None:
        """Send a ping, and wait for its answer."""
        deadline = Deadline(self._timeout)
        if not self._client.is_open or not self._client.protocol.can_ping:
            reason = (
                f"version {self._client.protocol.version} has no pings"
                if self._client.is_open
                else "the WebSocket has ended"
            )
            self._report.add("ping", "skip", reason)
            return
        self._client.protocol.ping(_PING)
        if self._client.wait(lambda: self._client.protocol.pong == _PING, self._timeout):
            self._report.add("ping", "ok", "a ping is answered", deadline.spent_ms)
        elif self._client.is_closed:
            self._report.add("ping", "skip", "the WebSocket has ended")
        else:
            self._report.add("ping", "warn", f"a ping is not answered within {self._timeout:g} s")

    def check_idle(self, idle: float) -> str:
        """Be silent for ``idle`` seconds; return the word of the verdict on what happens meanwhile."""
        self._client.wait(lambda: False, idle)
        seconds, pings = self._opened.spent, self._client.pings
        code, reason = self._client.protocol.close_code, self._client.protocol.close_reason
        data = {"pings": pings, "close_code": code, "seconds": round(seconds, 2)}
        if code is None:
            if pings or not self._client.protocol.can_ping:
                self._report.add("idle", "ok", f"open after {seconds:.1f} s; pings of the server: {pings}", data=data)
            else:
                text = f"open after {seconds:.1f} s without a ping of the server: --idle is to be longer than "
                self._report.add("idle", "warn", f"{text}WEBSOCKET_PING_INTERVAL", data=data)
            return "ok"
        word = judge_close(code, seconds)
        text = "cut without a Close" if code == CloseCode.ABNORMAL_CLOSURE else f"closed with {code}"
        text += f" ({reason})" if reason else ""
        self._report.add("idle", "fail" if word != "ok" else "warn", f"{text} after {seconds:.1f} s", data=data)
        return word

    def check_echo(self, message: str) -> None:
        """Send a message, and wait until it comes back."""
        self._client.messages.clear()
        deadline = Deadline(self._timeout)
        try:
            self._client.protocol.send(message)
        except UnsupportedFeature as error:
            self._report.add("echo", "skip", str(error))
            return
        if self._client.wait(lambda: message in self._client.messages, self._timeout):
            self._report.add("echo", "ok", "the message comes back", deadline.spent_ms)
        elif self._client.messages:
            text = f"the answer is another message, of {len(self._client.messages[-1])} characters or bytes"
            self._report.add("echo", "warn", text, deadline.spent_ms)
        else:
            self._report.add("echo", "warn", f"no message comes within {self._timeout:g} s")

    def check_close(self) -> None:
        """Begin the closing handshake, and wait for its answer."""
        deadline = Deadline(self._timeout)
        self._client.protocol.close()
        self._client.wait(lambda: False, self._timeout)
        code = self._client.protocol.close_code
        if not self._client.is_closed:
            self._report.add("close", "warn", f"our Close is not answered within {self._timeout:g} s")
        elif code == CloseCode.ABNORMAL_CLOSURE:
            self._report.add("close", "warn", "our Close is answered by the end of the connection only")
        else:
            self._report.add("close", "ok", f"our Close is answered with {code}", deadline.spent_ms)
