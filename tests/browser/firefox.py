"""A Firefox, which is driven by WebDriver BiDi: that needs no geckodriver, which Debian has not."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from pathlib import Path
from typing import IO, Any

import websocket

from lab.servers import PATIENCE

#: What is not on this machine is not looked for, nor is anything else than the page.
PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.auto": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.proxy.type": 0,
}


class Firefox:
    """A browser with one tab, with as much of the interface of Selenium's as tests need."""

    def __init__(self, program: str, profile: Path) -> None:
        profile.mkdir()
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
        (profile / "user.js").write_text("".join(lines), encoding="utf-8")
        self._number = 0
        self._process = subprocess.Popen(
            [program, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port=0"],
            env={"HOME": str(profile), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            self._socket = websocket.create_connection(
                f"{self._address()}/session", suppress_origin=True, timeout=PATIENCE * 2, http_no_proxy=["*"]
            )
            self._call("session.new", capabilities={})
            self._context = self._call("browsingContext.getTree")["contexts"][0]["context"]
        except BaseException:
            self.quit()
            raise

    def get(self, url: str) -> None:
        """Go to a page, and wait until it is loaded."""
        self._call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def execute_script(self, script: str) -> Any:
        """Run the body of a function in the page, and return what it returns."""
        result = self._call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await (async () => {{ {script} }})()) ?? 'null')()",
            awaitPromise=True,
            target={"context": self._context},
        )
        assert result["type"] == "success", result
        return json.loads(result["result"]["value"])

    def quit(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(PATIENCE)
        if hasattr(self, "_socket"):
            self._socket.close()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _address(self) -> str:
        """Return where it can be driven, which it writes when it has started."""
        assert self._process.stderr is not None
        # A browser that never writes it is ended, and so is the reading.
        deadline = threading.Timer(PATIENCE * 2, self._process.kill)
        deadline.start()
        try:
            for line in self._process.stderr:
                if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line):
                    threading.Thread(target=_drain, args=(self._process.stderr,), daemon=True).start()
                    return found[1]
        finally:
            deadline.cancel()
        raise RuntimeError("Firefox has not started")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._number:
                assert answer["type"] == "success", answer
                result: dict[str, Any] = answer["result"]
                return result


def _drain(stream: IO[str]) -> None:
    """Read on, so that the browser never waits for somebody who reads."""
    try:
        for _ in stream:
            pass
    except ValueError:
        pass  # It was closed.
