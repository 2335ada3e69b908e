cdef extern from "pythread.h":
    ctypedef void *PyThread_type_lock
    PyThread_type_lock PyThread_allocate_lock() nogil
    void PyThread_free_lock(PyThread_type_lock lock) nogil
    int PyThread_acquire_lock_timed(PyThread_type_lock lock, long long microseconds, int interruptible) nogil
    void PyThread_release_lock(PyThread_type_lock lock) nogil

cdef class Lock:
    cdef public list _waiters
    # Whether the lock is acquired; the GIL protects this flag.
    cdef bint held
    # The number of threads that wait, and what the system wakes them with: free from the moment when this lock is passed
    # on until one of them wakes.
    cdef int waiting
    cdef bint rung
    cdef PyThread_type_lock bell
    cdef bint try_acquire(self) noexcept
    cdef bint wait(self, double timeout) except -1
    cdef int make_bell(self) except -1
    cdef bint answer_bell(self) noexcept
    cdef int unlock(self) except -1
