# cython: binding=False, boundscheck=False, wraparound=False
"""A lock that compiled code acquires and releases without the call of a method."""

from time import monotonic

from cpython.exc cimport PyErr_CheckSignals

cdef enum:
    FAILED, ACQUIRED, INTERRUPTED


cdef class Lock:
    """A lock as :class:`threading.Lock`.

    A subclass whose lock is passed on to those that wait has the methods ``_wait(timeout)``, which returns whether the
    lock was passed on in time, and ``_pass_on()``; it appends those that wait to the list ``_waiters``.
    """

    def __dealloc__(self):
        if self.bell is not NULL:
            # What the system has must not be freed while it is acquired.
            if not self.rung:
                PyThread_release_lock(self.bell)
            PyThread_free_lock(self.bell)

    cdef bint try_acquire(self) noexcept:
        """Acquire the lock if it is free, and return whether it was."""
        if self.held:
            return False
        self.held = True
        return True

    def acquire(self, bint blocking=True, double timeout=-1):
        """Acquire the lock, as :meth:`threading.Lock.acquire` does, and return whether it was acquired."""
        if self.try_acquire():
            return True
        if not blocking:
            return False
        return self.wait(timeout) if type(self) is Lock else self._wait(timeout)

    cdef bint wait(self, double timeout) except -1:
        """Wait until the lock is passed on to this thread, and return whether that was in time.

        If the lock were free in between, a thread that sends in a loop would acquire it again each time, before a
        thread that waits gets the GIL.
        """
        cdef double deadline = monotonic() + timeout, left = 0
        cdef int status = INTERRUPTED
        self.make_bell()
        self.waiting += 1
        try:
            while True:
                if timeout >= 0:
                    left = min(deadline - monotonic(), 1e9)
                    if left <= 0:
                        return self.answer_bell()
                with nogil:
                    status = PyThread_acquire_lock_timed(self.bell, <long long>(left * 1e6) if timeout >= 0 else -1, True)
                if status == ACQUIRED:
                    self.rung = False
                    return True
                if status == INTERRUPTED:
                    PyErr_CheckSignals()
        except BaseException:
            if self.answer_bell():
                self.held = False
            raise
        finally:
            self.waiting -= 1

    cdef bint answer_bell(self) noexcept:
        """Return whether the lock was passed on and nobody else waits for it, so that it is this thread's."""
        if self.waiting > 1 or not self.rung:
            return False
        PyThread_acquire_lock_timed(self.bell, 0, False)
        self.rung = False
        return True

    cdef int make_bell(self) except -1:
        if self.bell is NULL:
            self.bell = PyThread_allocate_lock()
            if self.bell is NULL:
                raise MemoryError
            PyThread_acquire_lock_timed(self.bell, 0, False)
        return 0

    cdef int unlock(self) except -1:
        """Release the lock, or pass it on, as :meth:`release` does."""
        if not self.held or self.rung:
            raise RuntimeError("release unlocked lock")
        if self.waiting:
            # It stays acquired, for the thread that hears the bell first.
            self.rung = True
            PyThread_release_lock(self.bell)
            return 0
        self.held = False
        if self._waiters:
            self._pass_on()
        return 0

    def release(self):
        """Release the lock, or pass it on.

        :raises RuntimeError: nobody has acquired it.
        """
        self.unlock()

    def locked(self):
        """Return whether the lock is acquired."""
        return self.held

    def __enter__(self):
        return self.acquire()

    def __exit__(self, kind, value, traceback):
        self.release()
