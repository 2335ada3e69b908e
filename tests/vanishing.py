"""A peer that vanishes without a word, as one does whose cable was pulled."""

import ctypes
import socket
import struct
import sys

import pytest

#: <asm-generic/socket.h>
SO_ATTACH_FILTER = 26
#: <linux/bpf_common.h>: BPF_RET | BPF_K, with 0: not a byte of the packet passes.
DROP = struct.pack("=HBBI", 0x06, 0, 0, 0)


def vanish(sock):
    """Let no packet reach a TCP socket any more: it reads nothing, and acknowledges nothing.

    It has to stay open until the other side has noticed: closing it says goodbye.
    """
    if sys.platform != "linux":
        pytest.skip("needs Linux's socket filters")
    code = ctypes.create_string_buffer(DROP, len(DROP))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(code)))
