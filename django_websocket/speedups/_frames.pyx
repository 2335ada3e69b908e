# cython: binding=False, boundscheck=False, wraparound=False
"""Frames as bytes (RFC 6455 section 5): the compiled twins of functions in ``protocols/rfc6455/``."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memcpy

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 largest)
    unsigned char *PyUnicode_1BYTE_DATA(object text)

cdef enum:
    # Bytes whose masking takes some milliseconds, as long as a thread may keep the GIL anyway. For fewer bytes the GIL
    # is kept: a thread that releases it may wait a whole switch interval until a busy thread gives it back.
    RELEASE_GIL_FROM = 1 << 24


def apply_mask(data, mask, Py_ssize_t start=0, Py_ssize_t stop=PY_SSIZE_T_MAX, /):
    """Return ``data[start:stop]`` masked or unmasked with ``mask``; ``None`` is the four bytes before ``start``.

    :raises ValueError: ``mask`` does not have four bytes, or ``start`` or ``stop`` is negative.
    """
    cdef Py_buffer view
    cdef const unsigned char *origin
    cdef unsigned char *to
    cdef unsigned char key[4]
    cdef Py_ssize_t size
    if start < 0 or stop < 0:
        raise ValueError("an index is negative")
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        start, stop = min(start, view.len), min(stop, view.len)
        size = max(stop - start, 0)
        origin = <const unsigned char *>view.buf + start
        if mask is not None:
            mask = bytes(mask)
        if start < 4 if mask is None else PyBytes_GET_SIZE(mask) != 4:
            raise ValueError("a mask has 4 bytes")
        memcpy(key, origin - 4 if mask is None else <const unsigned char *>PyBytes_AS_STRING(mask), 4)
        masked = PyBytes_FromStringAndSize(NULL, size)
        to = <unsigned char *>PyBytes_AS_STRING(masked)
        if size < RELEASE_GIL_FROM:
            xor_bytes(to, origin, size, key)
        else:
            with nogil:
                xor_bytes(to, origin, size, key)
    finally:
        PyBuffer_Release(&view)
    return masked


def take_whole_messages(bytes data not None, messages, Py_ssize_t position, Py_ssize_t limit):
    """Append the messages up to ``limit`` bytes that ``data`` holds whole; see :meth:`.Protocol.take_whole_messages`."""
    cdef const unsigned char *at = <const unsigned char *>PyBytes_AS_STRING(data)
    cdef Py_ssize_t taken = 0, size = PyBytes_GET_SIZE(data)
    while 0 <= position < size:
        message = take_message(at + position, size - position, limit, &taken)
        if message is None:
            break
        messages.append(message)
        position += taken
    return position


cdef object take_message(const unsigned char *at, Py_ssize_t left, Py_ssize_t limit, Py_ssize_t *taken):
    """Return the message that these bytes begin with, and set the size of its frame.

    Return ``None`` if they hold no whole message, or one over ``limit``, or a text that is not UTF-8. A text is unmasked
    where its characters will be, and decoded only if it is not ASCII.
    """
    cdef Py_ssize_t length = 0
    cdef int header = read_header(at, left, &length)
    if header == 0 or length > limit or length > left - header:
        return None
    taken[0] = header + length
    if at[0] == WHOLE_BINARY:
        message = PyBytes_FromStringAndSize(NULL, length)
        xor_bytes(<unsigned char *>PyBytes_AS_STRING(message), at + header, length, at + header - 4)
        return message
    message = PyUnicode_New(length, 127)
    if not length or not xor_bytes(PyUnicode_1BYTE_DATA(message), at + header, length, at + header - 4):
        return message
    try:
        return PyUnicode_DecodeUTF8(<const char *>PyUnicode_1BYTE_DATA(message), length, NULL)
    except UnicodeDecodeError:
        return None
