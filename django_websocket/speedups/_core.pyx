# cython: binding=False, boundscheck=False, wraparound=False
"""The fast path of a connection at its descriptor: whole messages in, whole messages out (RFC 6455 section 5).

``connection/core.py`` has the twin in Python, and describes the attributes. Everything that is not plain is left to the
code in ``connection/``: control frames, fragments, closing, timeouts, what a socket does not take at once. Outside of a
call no received byte is kept here. Under a lock no other code runs than the methods that are called for that.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.time cimport monotonic
from cpython.unicode cimport PyUnicode_AsUTF8String, PyUnicode_DecodeUTF8
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memcpy, memset

from _socket import SocketType

from ..exceptions import ConnectionClosed

from ._frames cimport WHOLE_BINARY, WHOLE_TEXT, MAX_HEADER, read_header, take_message, write_header, xor_bytes
from ._lock cimport Lock

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 largest)
    unsigned char *PyUnicode_1BYTE_DATA(object text)
    bint PyUnicode_IS_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    unsigned long PyThread_get_thread_ident() nogil
    # Of a list, bytes or a bytearray: the number of its items.
    Py_ssize_t Py_SIZE(object sized)

cdef extern from *:
    """
    /* The beginning of each socket object, as engage() checks. */
    typedef struct { PyObject_HEAD int fd; } SocketObject;
    """
    ctypedef struct SocketObject:
        int fd

cdef extern from "<sys/socket.h>" nogil:
    enum: MSG_DONTWAIT
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        iovec *msg_iov
        int msg_iovlen
    Py_ssize_t recv(int fd, void *to, size_t size, int flags)
    Py_ssize_t send(int fd, const void *data, size_t size, int flags)
    Py_ssize_t sendmsg(int fd, const msghdr *message, int flags)

cdef enum:
    # The buffer of a read, on the stack of a function that does not wait in a hub: greenlets copy their stacks.
    SMALL_READ = 4000
    # The size of a read once a small one was filled: a message of 64 KiB with its header.
    LARGE_READ = 65536 + 14
    # Bytes of a frame that are received at once: they are unmasked while the processor's cache still holds them.
    MAX_READ = 1 << 18
    # Larger messages are left to the code in Python, where memory grows with what has arrived.
    MAX_LARGE = 1 << 24
    # Longer payloads are sent from where they are, behind their header.
    MAX_COPIED = 4096
    # Bytes that a corked connection collects.
    MAX_CORKED = 65536
    # Connections to which a frame is sent at once without the GIL.
    BATCH = 32

cdef enum Result:
    NOTHING, GOT, TIMED_OUT, INTERRUPTED

# Seconds without a read after which the code in Python looks for what has come in.
cdef double POLL_INTERVAL = 1.0


cdef class Core:
    """The base class of a connection; see :class:`.connection.core.Core`."""

    cdef public object protocol, messages, _unsent, _queued, _requested_close, _waiting, _resources
    cdef public bint _fast_path, _flush_missed, _corked, _more, _is_open
    cdef public Py_ssize_t _whole_limit
    cdef public double _opened_at, _heard_at, _polled_at, _revalidate_at
    cdef public long long messages_received, bytes_received, messages_sent, bytes_sent
    # The descriptor, -1 where there is no fast path, and its socket: a server may close it while the view runs, and the
    # system gives the number to another file then. The thread of the view, and of its hub, is the one that may read.
    cdef int fd
    cdef object sock
    cdef unsigned long thread
    cdef Lock reading, writing
    # What waits in a hub for bytes, its argument, and the exception that it raises if none come in time. Threads wait
    # in the system's call instead, for as long as the socket's own timeout says.
    cdef object wait, timeout, timed_out
    # The message that was received last.
    cdef object taken

    def __cinit__(self):
        self.fd = -1

    def engage(self, locks, sock, hub):
        """See :meth:`.connection.core.Core.engage`."""
        if not isinstance(sock, SocketType):
            raise TypeError("engage() takes a socket")
        cdef int fd = sock.fileno()
        if (<SocketObject *>sock).fd != fd:
            # This Python has other sockets than all that are known.
            return
        self.sock = sock
        self.reading, self.writing = locks
        if hub is not None:
            self.wait, self.timeout, self.timed_out = hub
        self.thread = PyThread_get_thread_ident()
        self.fd = fd

    def disengage(self):
        """Leave everything to the code in Python from now on: the descriptor is about to be closed."""
        self.fd = -1

    cdef int descriptor(self) noexcept:
        """Return the descriptor; -1 if there is none, or none any more."""
        if self.fd >= 0 and (<SocketObject *>self.sock).fd == self.fd:
            return self.fd
        return -1

    # Receiving

    def take(self):
        """See :meth:`.connection.core.Core.take`."""
        return self.next_message()

    def iterate(self, report_closed):
        """See :meth:`.connection.core.Core.iterate`."""
        cdef Messages messages = Messages.__new__(Messages)
        messages.core, messages.report_closed = self, report_closed
        return messages

    cdef object next_message(self):
        """Return the next message; ``None`` once there will be none."""
        cdef int status = NOTHING
        message = None
        if Py_SIZE(self.messages) == 0 and self._corked and Py_SIZE(self._unsent) > 0:
            self._flush()
        if Py_SIZE(self.messages) == 0 and self.may_read() and self.reading.try_acquire():
            self._waiting = True
            try:
                if self._corked and Py_SIZE(self._unsent) > 0:
                    # Another thread has sent this after the first look, before it could see that the view waits.
                    self._flush()
                while status == NOTHING and self._fast_path and Py_SIZE(self.messages) == 0:
                    if not self._more and self.wait is not None:
                        status = self.wait_in_hub()
                    if status == NOTHING:
                        status = self.read_large(NULL, 0) if self._more else self.read_small()
            except BaseException:
                if self.taken is not None:
                    (<list?>self.messages).insert(0, self.taken)
                    self.taken = None
                raise
            finally:
                message, self.taken = self.taken, None
                self._waiting = False
                self.reading.unlock()
            if message is not None:
                return message
            if status == TIMED_OUT:
                self._fast_path = False
            elif status == INTERRUPTED:
                # The lock is free, so that the handler of the signal may use the connection.
                PyErr_CheckSignals()
        if Py_SIZE(self.messages) > 0 or self.fetch(None):
            return (<list?>self.messages).pop(0)
        return None

    cdef bint may_read(self) except -1:
        return (
            self.descriptor() >= 0
            and self._fast_path
            and self.thread == PyThread_get_thread_ident()
            and not self._resources
            and Py_SIZE(self._unsent) == 0
        )

    cdef int wait_in_hub(self) except -1:
        try:
            self.wait(self.timeout)
        except OSError as error:
            if error.errno is None and not isinstance(error, self.timed_out):
                raise
            # An error of the system comes again in the code in Python, which takes it for the end of the stream.
            return TIMED_OUT
        return NOTHING

    cdef int read_small(self) except -1:
        cdef unsigned char buffer[SMALL_READ]
        cdef Py_ssize_t received = 0, position
        cdef int status = self.receive(buffer, SMALL_READ, 0, &received)
        if status != GOT:
            return status
        position = self.take_whole(buffer, received)
        if self._more and position < received:
            return self.read_large(buffer + position, received - position)
        return self.finish(buffer + position, received - position, received == 0)

    cdef int read_large(self, const unsigned char *head, Py_ssize_t size) except -1:
        """Read behind a read that was filled, of which ``size`` bytes are left, without waiting.

        The buffer would be too large to wait with.
        """
        cdef unsigned char *buffer = <unsigned char *>PyMem_Malloc(LARGE_READ)
        cdef Py_ssize_t received = 0, position = 0
        cdef int status
        if buffer is NULL:
            raise MemoryError
        try:
            if size > 0:
                memcpy(buffer, head, size)
            status = self.receive(buffer + size, LARGE_READ - size, MSG_DONTWAIT, &received)
            if status != GOT and size == 0:
                return status
            if received > 0:
                position = self.take_whole(buffer, size + received)
            return self.finish(buffer + position, size + received - position, status == GOT and received == 0)
        finally:
            PyMem_Free(buffer)

    cdef int receive(self, unsigned char *to, Py_ssize_t size, int flags, Py_ssize_t *received) except -1:
        """Receive up to ``size`` bytes and set their number; 0 is the end of the stream, for whatever reason."""
        cdef Py_ssize_t number
        cdef int error, fd = self.descriptor()
        if flags or self.wait is not None:
            flags = MSG_DONTWAIT
            number = recv(fd, to, size, MSG_DONTWAIT)
            error = errno
        else:
            with nogil:
                number = recv(fd, to, size, 0)
                error = errno
        self._more = number == size
        if number < 0 and error == EINTR:
            return INTERRUPTED
        if number < 0 and error == EAGAIN:
            return NOTHING if flags else TIMED_OUT
        received[0] = max(number, 0)
        self._heard_at = monotonic()
        if self._heard_at >= self._revalidate_at:
            self._fast_path = False
        return GOT

    cdef Py_ssize_t take_whole(self, const unsigned char *data, Py_ssize_t size) except -1:
        """Take the messages that ``data`` holds whole, and return the position behind them.

        The first is put into ``taken``, others into the queue.
        """
        cdef Py_ssize_t position = 0, length = 0
        while position < size:
            message = take_message(data + position, size - position, self._whole_limit, &length)
            if message is None:
                break
            position += length
            self.count_received(length - header_size(length))
            if self.taken is None:
                self.taken = message
            else:
                (<list?>self.messages).append(message)
        return position

    cdef void count_received(self, Py_ssize_t size) noexcept:
        self.messages_received += 1
        self.bytes_received += size

    cdef void count_sent(self, Py_ssize_t messages, Py_ssize_t size) noexcept:
        self.messages_sent += messages
        self.bytes_sent += size

    cdef int finish(self, const unsigned char *rest, Py_ssize_t size, bint ended) except -1:
        """Leave the rest of what was read to the code in Python, and the end of the stream.

        All messages are in the queue then, because that code answers a Close at once if no message is ahead of it.
        """
        cdef Py_ssize_t length = 0
        cdef int header
        if size == 0 and not ended:
            return GOT
        if self.taken is not None:
            (<list?>self.messages).insert(0, self.taken)
            self.taken = None
        elif not ended:
            header = read_header(rest, size, &length)
            if header and length <= self._whole_limit and size - header < length <= MAX_LARGE:
                return self.receive_large(rest, header, size - header, length)
        if size > 0:
            self._take_handed_over(PyBytes_FromStringAndSize(<const char *>rest, size))
        if ended:
            self._take_handed_over(b"")
        return NOTHING

    cdef int receive_large(
        self, const unsigned char *head, int header, Py_ssize_t arrived, Py_ssize_t length
    ) except -1:
        """Receive the rest of a large frame straight into its message, and unmask it there.

        ``header`` bytes of the frame are at ``head``, and ``arrived`` bytes of the payload behind them. If the message
        does not come whole, or is a text that has to be decoded, what has arrived is given back to the code in Python,
        which checks each part of a text as it comes.
        """
        cdef bint is_text = head[0] == WHOLE_TEXT, high = False
        cdef unsigned char mask[4]
        cdef unsigned char turned[4]
        cdef Py_ssize_t size = arrived, position = 0
        cdef int index, status = GOT
        cdef unsigned char *to
        opening = PyBytes_FromStringAndSize(<const char *>head, header)
        memcpy(mask, head + header - 4, 4)
        message = PyUnicode_New(length, 127) if is_text else PyBytes_FromStringAndSize(NULL, length)
        to = PyUnicode_1BYTE_DATA(message) if is_text else <unsigned char *>PyBytes_AS_STRING(message)
        memcpy(to, head + header, arrived)
        try:
            while True:
                for index in range(4):
                    turned[index] = mask[(position + index) & 3]
                high = xor_bytes(to + position, to + position, size, turned)
                position += size
                # Somebody has closed the connection, or the peer has to be revalidated, if the fast path has ended.
                if position == length or (high and is_text) or not self._fast_path:
                    break
                status = NOTHING
                while status == NOTHING:
                    if self.wait is not None and not self._more:
                        status = self.wait_in_hub()
                    if status == NOTHING:
                        status = self.receive(to + position, min(length - position, MAX_READ), 0, &size)
                if status != GOT or size == 0:
                    break
            if position == length and high and is_text:
                message = PyUnicode_DecodeUTF8(<const char *>to, length, NULL)
            if position == length:
                self.taken = message
                self.count_received(length)
        except UnicodeDecodeError:
            pass
        finally:
            self._more = False
            if self.taken is None:
                xor_bytes(to, to, position, mask)
                self._give_back(opening + PyBytes_FromStringAndSize(<const char *>to, position))
        if status != GOT or self.taken is not None:
            return status
        if size == 0:
            # The stream has ended in the midst of the frame.
            self._take_handed_over(b"")
        return NOTHING

    # Sending

    def send(self, message, compress=None):
        """See :meth:`.connection.core.Core.send`."""
        cdef unsigned char header[MAX_HEADER]
        cdef const char *data = NULL
        cdef Py_ssize_t size = 0, sent
        cdef int first = 0, length
        if compress is None and self.may_send() and (
            monotonic() - max(self._polled_at, self._heard_at) <= POLL_INTERVAL
        ):
            owner = message
            if type(message) is bytes:
                first = WHOLE_BINARY
            elif type(message) is str:
                first = WHOLE_TEXT
                if not PyUnicode_IS_ASCII(message):
                    # Another function would keep the UTF-8 in memory for as long as there is the text.
                    owner = PyUnicode_AsUTF8String(message)
        if first == 0 or not self.writing.try_acquire():
            return self._send(message, compress)
        try:
            # Under the lock, so that no Close can be sent meanwhile.
            if not self.may_send():
                first = 0
            else:
                if type(owner) is str:
                    data, size = <const char *>PyUnicode_1BYTE_DATA(owner), PyUnicode_GET_LENGTH(owner)
                else:
                    data, size = PyBytes_AS_STRING(owner), PyBytes_GET_SIZE(owner)
                length = write_header(header, first, size)
                if self._corked and self._waiting is not True:
                    self.collect(header, length, data, size)
                else:
                    sent = self.send_frame(header, length, data, size)
                    if sent < length + size:
                        self.complete(header, length, data, size, sent)
                self.count_sent(1, size)
        finally:
            self.writing.unlock()
            if self._flush_missed:
                self._flush()
        if first == 0:
            return self._send(message, compress)

    cdef bint may_send(self) except -1:
        return self.descriptor() >= 0 and self._is_open and self._queued is None and (
            Py_SIZE(self._unsent) == 0 or (self._corked and self._waiting is not True)
        )

    cdef Py_ssize_t send_frame(self, const unsigned char *header, int length, const char *data, Py_ssize_t size) noexcept:
        """Send a frame without waiting and return the number of bytes sent; 0 for an error, which will come again."""
        cdef unsigned char copy[MAX_HEADER + MAX_COPIED]
        cdef iovec pieces[2]
        cdef msghdr gathered
        cdef Py_ssize_t sent
        cdef int fd = self.descriptor()
        if size <= MAX_COPIED:
            memcpy(copy, header, length)
            memcpy(copy + length, data, size)
            if self.wait is not None:
                return max(send(fd, copy, length + size, MSG_DONTWAIT), 0)
            with nogil:
                sent = send(fd, copy, length + size, MSG_DONTWAIT)
            return max(sent, 0)
        pieces[0].iov_base, pieces[0].iov_len = <void *>header, length
        pieces[1].iov_base, pieces[1].iov_len = <void *>data, size
        memset(&gathered, 0, sizeof(gathered))
        gathered.msg_iov, gathered.msg_iovlen = pieces, 2
        with nogil:
            sent = sendmsg(fd, &gathered, MSG_DONTWAIT)
        return max(sent, 0)

    cdef int complete(
        self, const unsigned char *header, int length, const char *data, Py_ssize_t size, Py_ssize_t sent
    ) except -1:
        """Leave the rest of a frame, of which ``sent`` bytes were sent, to the code in Python.

        After any other error than that of a closed connection nothing can be sent behind the first part.
        """
        try:
            if sent < length:
                rest = PyBytes_FromStringAndSize(<const char *>header + sent, length - sent) + data[:size]
            else:
                rest = PyBytes_FromStringAndSize(data + sent - length, size + length - sent)
            self._send_rest(rest)
        except ConnectionClosed:
            raise
        except BaseException:
            self._drop()
            raise
        return 0

    cdef int collect(self, const unsigned char *header, int length, const char *data, Py_ssize_t size) except -1:
        """Append a frame to what a corked connection has collected."""
        cdef Py_ssize_t before
        cdef char *to
        if type(self._unsent) is not bytearray:
            self._unsent = bytearray(self._unsent)
        before = PyByteArray_GET_SIZE(self._unsent)
        PyByteArray_Resize(self._unsent, before + length + size)
        to = PyByteArray_AS_STRING(self._unsent) + before
        memcpy(to, header, length)
        memcpy(to + length, data, size)
        if before + length + size >= MAX_CORKED:
            # Whoever sees this flag sends what was collected.
            self._flush_missed = True
        return 0

    @staticmethod
    def send_to_all(connections, shared):
        """See :meth:`.connection.core.Core.send_to_all`."""
        cdef list batch = [], others = []
        cdef Core core
        cdef bytes frame
        cdef Py_ssize_t size, messages
        frame, size, messages = shared
        if frame is None:
            raise TypeError("send_to_all() takes the bytes of a frame")
        # No code of others runs between the first lock of a batch and its sending.
        for connection in tuple(connections):
            if isinstance(connection, Core):
                core = connection
                if not core._corked and core.may_send() and core.writing.try_acquire():
                    batch.append(core)
                    if len(batch) == BATCH:
                        send_batch(batch, frame, messages, size, others)
                        batch = []
                    continue
            others.append(connection)
        send_batch(batch, frame, messages, size, others)
        return others


cdef Py_ssize_t header_size(Py_ssize_t length) noexcept:
    """Return the size of the header of a masked frame that has ``length`` bytes in all."""
    if length <= 6 + 125:
        return 6
    return 8 if length < 8 + 65536 else MAX_HEADER + 4


cdef int send_batch(list batch, bytes frame, Py_ssize_t messages, Py_ssize_t payload, list others) except -1:
    """Send a frame on connections whose locks for writing are acquired, and release these.

    It holds ``messages`` messages with ``payload`` bytes. Connections about which the code in Python has to find out more are appended to ``others``.
    """
    cdef Py_ssize_t sent[BATCH]
    cdef int fds[BATCH]
    cdef int index, count = len(batch)
    cdef const char *data = PyBytes_AS_STRING(frame)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(frame)
    cdef Core core
    failure = None
    for index in range(count):
        core = <Core>batch[index]
        fds[index] = core.descriptor() if core.may_send() and core._requested_close is None else -1
    with nogil:
        for index in range(count):
            sent[index] = send(fds[index], data, size, MSG_DONTWAIT)
    # No other code runs before all locks are released: it might wait for one of them.
    for index in range(count):
        core = <Core>batch[index]
        if 0 <= sent[index] < size:
            core._unsent = frame[sent[index] :]
        if sent[index] >= 0:
            core.count_sent(messages, payload)
        core.writing.unlock()
    for index in range(count):
        core = <Core>batch[index]
        try:
            if sent[index] < 0:
                others.append(core)
            elif sent[index] < size:
                core._leave_to_flusher()
            if core._flush_missed:
                core._flush_nowait()
        except BaseException as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return 0


cdef class Messages:
    """The iterator over the messages of a connection."""

    cdef Core core
    cdef object report_closed

    def __iter__(self):
        return self

    def __next__(self):
        message = None if self.core is None else self.core.next_message()
        if message is None:
            if self.core is not None:
                self.core = None
                self.report_closed()
            raise StopIteration
        return message
