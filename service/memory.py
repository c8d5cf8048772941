"""Freed memory given back to the system."""

import ctypes


def give_back() -> None:
    """Give memory back to the system once something large was read and is gone again.

    glibc keeps what was freed in small pieces for later: after a registry of 100,000 trackers and
    100,000 zones was read, 300 MiB. (malloc_trim(3)) Where libc is not glibc, nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
