"""Compiled functions that allocate nothing, and so need not count who refers to which array.

Counting costs a call from 5 to 40 ns, more than many of these functions take. It is left out by
numba's option `_nrt`; numba refuses to compile a function that would need it.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportCallIssue=false
# (numba's decorators have no useful types, and do not list this option)

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

_P = ParamSpec("_P")
_R = TypeVar("_R")


def bare(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """As `geofence.compiled.compiled`, for a function whose numbers all live in registers."""
    try:
        return njit(cache=True, nogil=True, _nrt=False)(function)
    except RuntimeError:  # no place where machine code could be kept
        return njit(nogil=True, _nrt=False)(function)
