"""A peer that vanishes: it neither reads nor acknowledges, as when a cable was pulled."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from typing import Final

#: <asm-generic/socket.h>
SO_ATTACH_FILTER: Final = 26
#: <linux/bpf_common.h>: BPF_RET | BPF_K with 0, which lets no byte of a packet pass.
DROP: Final = struct.pack("=HBBI", 0x06, 0, 0, 0)


def vanish(sock: socket.socket) -> None:
    """Drop every packet that arrives for a TCP socket, so that it reads nothing and acknowledges nothing.

    The socket must stay open until the other side has noticed: closing it would send a FIN.

    :raises NotImplementedError: this system is not Linux, which alone has these socket filters.
    """
    if sys.platform != "linux":
        raise NotImplementedError("needs Linux's socket filters")
    code = ctypes.create_string_buffer(DROP, len(DROP))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(code)))
