cdef extern from "frames.h":
    enum: WHOLE_TEXT, WHOLE_BINARY, MAX_HEADER
    bint xor_bytes(unsigned char *to, const unsigned char *origin, Py_ssize_t size, const unsigned char *mask) nogil
    int read_header(const unsigned char *at, Py_ssize_t left, Py_ssize_t *length) nogil
    int write_header(unsigned char *header, int first, Py_ssize_t length) nogil

cdef object take_message(const unsigned char *at, Py_ssize_t left, Py_ssize_t limit, Py_ssize_t *taken)
