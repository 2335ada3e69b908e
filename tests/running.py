"""Calls in threads of their own, for tests in which one thread waits for another."""

import threading

#: Seconds to wait for a call that has to end. A call that does not hang takes almost no time.
PATIENCE = 10


class Running(threading.Thread):
    """A call that runs in a thread of its own from the beginning."""

    def __init__(self, call, *args, **kwargs):
        super().__init__(daemon=True)
        self.call, self.args, self.kwargs = call, args, kwargs
        self.value = self.error = None
        self.start()

    def run(self):
        try:
            self.value = self.call(*self.args, **self.kwargs)
        except BaseException as error:  # noqa: BLE001 - result() raises it
            self.error = error

    def result(self):
        """Wait for the call to end; return its result, or raise its exception."""
        self.join(PATIENCE)
        assert not self.is_alive(), "hangs"
        if self.error is not None:
            raise self.error
        return self.value
