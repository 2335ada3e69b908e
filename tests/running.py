"""A call in a thread of its own, for tests in which one thread waits for another."""

import threading

#: Seconds for what has to end, and takes no time unless it hangs.
PATIENCE = 10


class Running(threading.Thread):
    """A call that runs; its result, or its exception, is there when it has ended."""

    def __init__(self, call, *args, **kwargs):
        super().__init__(daemon=True)
        self.call, self.args, self.kwargs = call, args, kwargs
        self.value = self.error = None
        self.start()

    def run(self):
        try:
            self.value = self.call(*self.args, **self.kwargs)
        except BaseException as error:  # noqa: BLE001 - for whoever asks
            self.error = error

    def result(self):
        self.join(PATIENCE)
        assert not self.is_alive(), "hangs"
        if self.error is not None:
            raise self.error
        return self.value
