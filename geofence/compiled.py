"""Functions that numba compiles: plain loops over numbers and arrays at the speed of C.

They release the interpreter while they run, so another thread may go on meanwhile. The machine code
is kept beside the source, or in the user's cache folder; where neither can be written it is made
anew in each process. With NUMBA_DISABLE_JIT=1 the same functions run as Python, for a debugger.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (numba's decorators have no useful types)

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

_P = ParamSpec("_P")
_R = TypeVar("_R")


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """`function`, compiled at its first call for the types of its arguments."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no place where machine code could be kept
        return njit(nogil=True)(function)
