/* Masking (RFC 6455 section 5.3). masking.py has the same function in Python, for installations without a
   C compiler.

   This module does not use the limited API, which has the buffer protocol only from Python 3.11 on. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

/* Bytes whose masking takes some milliseconds, as long as a thread may keep the GIL anyway. For fewer bytes the GIL is
   kept: a thread that releases it may wait a whole switch interval until a busy thread gives it back. */
#define RELEASE_GIL_FROM (1 << 24)
#define WRONG_SIZE "a mask has 4 bytes"

/* Compilers turn a memcpy of a fixed size into a single load or store, and it is correct for any alignment and type. */
static inline uint64_t
load(const unsigned char *from)
{
    uint64_t word;

    memcpy(&word, from, 8);
    return word;
}

static inline void
store(unsigned char *to, uint64_t word)
{
    memcpy(to, &word, 8);
}

/* XOR `size` bytes of `from` into `to`. */
static void
xor_bytes(unsigned char *to, const unsigned char *from, Py_ssize_t size, const unsigned char mask[4])
{
    unsigned char twice[8];
    uint64_t key, one, two, three, four;
    Py_ssize_t index = 0;

    memcpy(twice, mask, 4);
    memcpy(twice + 4, mask, 4);
    key = load(twice);
    /* Four words are read before any is written: so compilers use vector instructions at -O2 already. */
    for (; size - index >= 32; index += 32) {
        one = load(from + index) ^ key;
        two = load(from + index + 8) ^ key;
        three = load(from + index + 16) ^ key;
        four = load(from + index + 24) ^ key;
        store(to + index, one);
        store(to + index + 8, two);
        store(to + index + 16, three);
        store(to + index + 24, four);
    }
    for (; size - index >= 8; index += 8) {
        store(to + index, load(from + index) ^ key);
    }
    for (; index < size; index++) {
        to[index] = from[index] ^ mask[index & 3];
    }
}

static int
read_mask(PyObject *object, unsigned char mask[4])
{
    Py_buffer view;
    Py_ssize_t size;

    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    size = view.len;
    if (size == 4) {
        memcpy(mask, view.buf, 4);
    }
    PyBuffer_Release(&view);
    if (size != 4) {
        PyErr_SetString(PyExc_ValueError, WRONG_SIZE);
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(apply_mask_doc,
"apply_mask($module, data, mask, start=0, stop=sys.maxsize, /)\n"
"--\n"
"\n"
"Return ``data[start:stop]`` masked or unmasked with ``mask``; ``None`` is the four bytes before ``start``.\n"
"\n"
":raises ValueError: ``mask`` does not have four bytes, or ``start`` or ``stop`` is negative.");

static PyObject *
apply_mask(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    unsigned char mask[4];
    unsigned char *to;
    const unsigned char *from;
    Py_ssize_t start = 0, stop = PY_SSIZE_T_MAX, size;
    Py_buffer data;
    PyObject *masked;

    if (count < 2 || count > 4) {
        PyErr_Format(PyExc_TypeError, "apply_mask() takes 2 to 4 arguments, not %zd", count);
        return NULL;
    }
    if (count > 2 && (start = PyLong_AsSsize_t(args[2])) == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (count > 3 && (stop = PyLong_AsSsize_t(args[3])) == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (start < 0 || stop < 0) {
        PyErr_SetString(PyExc_ValueError, "an index is negative");
        return NULL;
    }
    if ((args[1] != Py_None && read_mask(args[1], mask) < 0) || PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    from = (const unsigned char *)data.buf;
    stop = Py_MIN(stop, data.len);
    start = Py_MIN(start, data.len);
    size = Py_MAX(stop - start, 0);
    if (args[1] == Py_None) {
        if (start < 4) {
            PyErr_SetString(PyExc_ValueError, WRONG_SIZE);
            PyBuffer_Release(&data);
            return NULL;
        }
        memcpy(mask, from + start - 4, 4);
    }
    masked = PyBytes_FromStringAndSize(NULL, size);
    if (masked == NULL) {
        PyBuffer_Release(&data);
        return NULL;
    }
    to = (unsigned char *)PyBytes_AS_STRING(masked);
    if (size < RELEASE_GIL_FROM) {
        xor_bytes(to, from + start, size, mask);
    }
    else {
        Py_BEGIN_ALLOW_THREADS
        xor_bytes(to, from + start, size, mask);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&data);
    return masked;
}

static PyMethodDef methods[] = {
    {"apply_mask", (PyCFunction)(void (*)(void))apply_mask, METH_FASTCALL, apply_mask_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "django_websocket.protocols.rfc6455._masking",
    .m_doc = PyDoc_STR("Masking (RFC 6455 section 5.3) in C."),
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__masking(void)
{
    return PyModuleDef_Init(&module);
}
