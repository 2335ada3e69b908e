"""A peer that vanishes without closing its connection, as if its cable had been pulled."""

import ctypes
import socket
import struct
import sys

import pytest

#: The socket option, from <asm-generic/socket.h>.
SO_ATTACH_FILTER = 26
#: A filter of one instruction, from <linux/bpf_common.h>: BPF_RET | BPF_K with 0 accepts no byte of a packet.
DROP = struct.pack("=HBBI", 0x06, 0, 0, 0)


def vanish(sock):
    """Drop all packets that arrive at a TCP socket from now on: it reads nothing, and acknowledges nothing.

    The socket has to stay open until the other side has noticed, because closing it sends a FIN.
    """
    if sys.platform != "linux":
        pytest.skip("needs Linux's socket filters")
    code = ctypes.create_string_buffer(DROP, len(DROP))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(code)))
