# cython: binding=False, boundscheck=False, wraparound=False
"""Waiting for many sockets at the hub of eventlet or gevent: one epoll object for all of them, and greenlet's C API.

``transports/pollers.py`` makes the objects, and has what is done seldom.
"""

from cpython.ref cimport Py_XDECREF, PyObject
from cpython.time cimport monotonic
from libc.errno cimport EEXIST, errno
from libc.math cimport INFINITY
from libc.stdint cimport uint32_t, uint64_t

cdef extern from *:
    """
    #include <greenlet.h>
    #define switch_to(greenlet) PyGreenlet_Switch((PyGreenlet *)(greenlet), NULL, NULL)
    #define current_greenlet() ((PyObject *)PyGreenlet_GetCurrent())
    #define parent_of(greenlet) ((PyObject *)PyGreenlet_GetParent((PyGreenlet *)(greenlet)))
    #define is_active(greenlet) PyGreenlet_ACTIVE((PyGreenlet *)(greenlet))
    static int import_greenlet(void) { PyGreenlet_Import(); return _PyGreenlet_API == NULL ? -1 : 0; }
    """
    object switch_to(object greenlet)
    object current_greenlet()
    PyObject *parent_of(object greenlet)
    bint is_active(object greenlet)
    int import_greenlet() except -1

cdef extern from "<sys/epoll.h>":
    enum: EPOLLIN, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, EPOLL_CLOEXEC
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event *event)
    int epoll_wait(int epoll, epoll_event *events, int size, int timeout)

cdef extern from "<fcntl.h>":
    enum: O_CLOEXEC
cdef extern from "<unistd.h>":
    int dup3(int old, int new, int flags)
    int close(int fd)

cdef enum:
    # Events that are taken at once; others come with the next turn of the hub.
    BATCH = 256

import_greenlet()


cdef class Poller:
    """The waiters of one hub, which calls :meth:`dispatch` whenever :meth:`fileno` can be read.

    Events are level-triggered. A waiter whose greenlet is busy at an event is disarmed, and armed again by its next
    wait. A greenlet that runs during a batch of events may close descriptors and open others: so each event is matched
    with a registration in the table before the first greenlet runs, and those that wait for nothing any more are left
    alone. A greenlet may be woken for nothing.
    """

    cdef int epoll
    # The armed waiters by their descriptors.
    cdef list armed
    # The number of the last registration: a descriptor that has been closed and opened again has another one.
    cdef uint32_t registration
    # The number of greenlets that wait, and whether the hub was told not to end because of them.
    cdef int waiting
    cdef bint held, dispatching
    # The waiters of a batch that are ready, the number of those that were woken, and the greenlet that was woken last.
    cdef list ready
    cdef int position
    cdef object woken
    # The hub, and whether its greenlet is another object, which becomes the parent of those that switch to it.
    cdef readonly object hub
    cdef bint adopts
    # The class of greenlets that was found last to have no hook that hubs call before they switch to another one.
    cdef object hookless
    # It is not on the stack, which greenlets copy.
    cdef epoll_event events[BATCH]

    def __cinit__(self, library):
        self.hub, self.adopts = library.hub(), library.hub_adopts
        self.armed, self.ready = [], []
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, "epoll_create1 failed")

    def __dealloc__(self):
        if self.epoll >= 0:
            close(self.epoll)

    def close(self):
        """Close the epoll object."""
        if self.epoll >= 0:
            close(self.epoll)
            self.epoll = -1

    def fileno(self):
        """Return the descriptor of the epoll object."""
        return self.epoll

    def renew(self):
        """Put a new epoll object, with the same waiters, behind the same descriptor.

        After a fork the old one belongs to the other process.
        """
        cdef int fresh = epoll_create1(EPOLL_CLOEXEC)
        cdef int error = errno
        if fresh >= 0:
            error = 0 if dup3(fresh, self.epoll, O_CLOEXEC) >= 0 else errno
            close(fresh)
        if error:
            raise OSError(error, "there is no new epoll object")
        for waiter in self.armed:
            if waiter is not None:
                self.control(EPOLL_CTL_ADD, <Waiter>waiter)

    cdef int control(self, int operation, Waiter waiter) noexcept:
        cdef epoll_event event
        event.events = EPOLLIN
        event.data.u64 = (<uint64_t>waiter.registration << 32) | <uint32_t>waiter.fd
        return epoll_ctl(self.epoll, operation, waiter.fd, &event)

    cdef int arm(self, Waiter waiter) except -1:
        cdef Waiter previous
        self.registration += 1
        waiter.registration = self.registration
        if self.control(EPOLL_CTL_ADD, waiter) < 0 and (
            errno != EEXIST or self.control(EPOLL_CTL_MOD, waiter) < 0
        ):
            raise OSError(errno, "epoll_ctl failed")
        if waiter.fd >= len(self.armed):
            self.armed.extend([None] * (waiter.fd + 1 - len(self.armed)))
        previous = self.armed[waiter.fd]
        if previous is not None:
            # Its descriptor was closed before it was detached, and this is another one with the same number.
            previous.is_armed = False
            previous.fd = -1
        self.armed[waiter.fd] = waiter
        waiter.is_armed = True
        return 0

    cdef int disarm(self, Waiter waiter) noexcept:
        # The system has done this already if the descriptor was closed.
        self.control(EPOLL_CTL_DEL, waiter)
        self.armed[waiter.fd] = None
        waiter.is_armed = False
        return 0

    def dispatch(self, *_):
        """Wake the greenlets whose descriptors can be read; the hub calls this."""
        cdef int index, fd, count = epoll_wait(self.epoll, self.events, BATCH, 0)
        cdef bint is_stray = False
        cdef Waiter waiter
        cdef list ready = []
        for index in range(count):
            fd = <int><uint32_t>self.events[index].data.u64
            waiter = <Waiter>self.armed[fd]
            if waiter is not None and waiter.registration == self.events[index].data.u64 >> 32:
                ready.append(waiter)
            else:
                is_stray = True
        if is_stray:
            # A file was closed here before its waiter was detached, and another process or descriptor keeps it open.
            # Nobody can remove it from the epoll object any more, and the hub would be called for it for ever.
            self._replace()
        self.ready, self.position, self.dispatching = ready, 0, True
        try:
            while self.find_ready():
                try:
                    switch_to(self.woken)
                except BaseException as error:
                    # It is the last one that was woken, be it by another greenlet.
                    self._handle_error(self.woken, error)
        finally:
            self.ready, self.woken, self.dispatching = [], None, False
            self.hold()

    cdef bint find_ready(self) except -1:
        """Find the next greenlet of the batch that is to be woken, and return whether there is one."""
        cdef Waiter waiter
        while self.position < len(self.ready):
            waiter = <Waiter>self.ready[self.position]
            self.position += 1
            if waiter._greenlet is not None:
                self.woken = waiter._greenlet
                return True
            if waiter.is_armed:
                self.disarm(waiter)
        return False

    cdef int hold(self) except -1:
        """Keep the hub from ending as long as greenlets wait."""
        if self.held != (self.waiting > 0):
            self.held = not self.held
            self._hold(self.held)
        return 0

    cdef object switch(self, greenlet):
        """Run other greenlets until one switches back to the running one; what hubs do by ``hub.switch()``.

        During a batch the next greenlet of it is switched to, because the way over the hub takes two switches.
        """
        cdef PyObject *parent
        cdef bint is_plain
        home = self.hub
        if type(greenlet) is not self.hookless and not hasattr(type(greenlet), "switch_out"):
            self.hookless = type(greenlet)
        is_plain = type(greenlet) is self.hookless
        if self.adopts:
            home = home.greenlet
            parent = parent_of(greenlet)
            is_plain = is_plain and parent is <PyObject *>home
            Py_XDECREF(parent)
        if not is_plain or not is_active(home):
            return self.hub.switch()
        return switch_to(self.woken if self.find_ready() else home)


cdef class Waiter:
    """Waits at a hub until one socket can be read; see :class:`.green_library.HubWaiter`."""

    cdef public object _library, _greenlet, _timer
    cdef public double _deadline, _timer_expires
    cdef public bint _detached
    cdef int fd
    # The poller, from the first wait until there will be no other; whether it watches the descriptor, and since when.
    cdef Poller poller
    cdef bint is_armed
    cdef uint32_t registration

    def __cinit__(self, library, int fd):
        self.fd = fd

    def wait(self, timeout):
        """See :meth:`.HubWaiter.wait`."""
        cdef double seconds
        cdef Poller poller = self.poller
        if self._greenlet is not None:
            raise RuntimeError("another greenlet waits for the same socket")
        if timeout is None:
            self._deadline = INFINITY
        else:
            seconds = timeout
            self._deadline = monotonic() + seconds
        if poller is None:
            poller = self.poller = self._join()
        if timeout is not None and (self._timer is None or self._timer_expires > self._deadline):
            self._set_timer(seconds, self._deadline)
        if not self.is_armed:
            poller.arm(self)
        greenlet = self._greenlet = current_greenlet()
        poller.waiting += 1
        try:
            poller.hold()
            poller.switch(greenlet)
        finally:
            self._greenlet = None
            poller.waiting -= 1
            if not poller.dispatching:
                poller.hold()
            if self._detached:
                self.detach()

    def _remove_listener(self):
        """Leave the poller."""
        cdef Poller poller = self.poller
        if poller is not None:
            if self.is_armed:
                poller.disarm(self)
            self.poller = None
            poller.leave()
