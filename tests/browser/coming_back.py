"""The site of tests/browser/site.py at a gunicorn that is restarted, and a page of it."""

import signal
import urllib.parse

from websockets.sync.client import connect

from lab.kinds import Kind
from lab.project.server import Server
from lab.servers import PATIENCE, eventually, gunicorn

THREADS = 250


class Site(Server):
    """The site of tests/browser/site.py on one worker of gunicorn, which its master replaces."""

    def __init__(self, directory, redis):
        self.directory = directory
        options = ("--threads", str(THREADS), "--timeout", "600", "--graceful-timeout", "10")
        super().__init__(
            Kind("site", gunicorn("gthread", *options, "tests.browser.site:application"), forks=True),
            directory / "log",
            environment={
                "DJANGO_SETTINGS_MODULE": "tests.browser.site",
                "NPM_FILES": str(directory),
                "REDIS_URL": redis.url,
            },
            strict=False,
            ready="/",
        )

    def restart(self):
        """Replace the worker as a new version of the code demands it: its pages get 1012."""
        before = self.pid
        self.process.send_signal(signal.SIGHUP)
        eventually(self.children, lambda pids: pids and before not in pids)

    def bid(self, text):
        """Bid as a page does, and return what it gets."""
        with connect(self.url("/bids/"), origin=self.origin, proxy=None) as client:
            client.send(text)
            return client.recv(timeout=PATIENCE)

    def publish(self, text):
        """Send to the room."""
        assert self.get(f"/publish/?text={urllib.parse.quote(text)}")[0] == 200


class Page:
    """A page with the module, in a browser."""

    def __init__(self, driver, server):
        self.driver = driver
        self.server = server

    def open(self, path="/recorder/"):
        self.driver.get(f"{self.server.origin}{path}")

    def run(self, script):
        return self.driver.execute_script(script)

    def until(self, expression, good=bool):
        return eventually(lambda: self.run(f"return {expression}"), good, PATIENCE * 2)

    def until_open(self, times=1):
        """Wait until the socket is open, and was opened so many times or more, and return all that it has seen.

        A worker that is about to end may take a connection, and close it with 1012 as well.
        """
        self.until("socket.readyState === 1 && socket.seen.opened.length", lambda opened: opened >= times)
        return self.seen()

    def seen(self):
        return self.run("return socket.seen")

    def until_messages(self, *texts):
        self.until("socket.seen.messages", lambda messages: messages == list(texts))
