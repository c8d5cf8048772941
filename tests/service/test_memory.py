"""What was freed goes back to the system."""

import platform
from pathlib import Path

import pytest

from service.memory import give_back

MIB = 1024


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to")
def test_freed_memory_is_given_back() -> None:
    pieces = [bytes(1_000) for _ in range(200_000)]
    del pieces[:-1]  # the last one keeps glibc from giving back the rest by itself
    held_kib = _held_kib()
    give_back()
    assert _held_kib() < held_kib - 100 * MIB
    assert len(pieces) == 1


def _held_kib() -> int:
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0])
