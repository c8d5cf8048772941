"""Runs a module with a clock that can be set while it runs: stands for a server whose clock jumps.

    python -m benchmarks.faults.clock FILE ingest      # FILE: seconds to add, read at each look

Only `time.time` and `time.time_ns` are shifted, which are what our code reads. The clock that
measures spans of time does not jump on a real machine either.
"""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path


def shift(file: Path) -> None:
    """Set both clocks ahead by as many seconds as the file says."""
    true_ns = time.time_ns

    def shifted_ns() -> int:
        return true_ns() + int(float(file.read_text() or 0) * 1e9)

    time.time_ns = shifted_ns
    time.time = lambda: shifted_ns() / 1e9


if __name__ == "__main__":
    shift(Path(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
