def apply_mask(
    data: bytes | bytearray | memoryview,
    mask: bytes | bytearray | memoryview | None,
    start: int = 0,
    stop: int = ...,
    /,
) -> bytes: ...
