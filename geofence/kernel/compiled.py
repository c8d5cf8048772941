"""Functions that numba compiles: plain loops over numbers and arrays at the speed of C.

The functions release the interpreter while they run, so that another thread can run. The machine
code is cached beside the source, or in the user's cache folder. A user who cannot write beside the
source uses the code that somebody else has cached there. If neither place can be written, each
process compiles again.

numba's own cache checks only the file of the function itself, although the machine code includes
all functions that it calls. Here the key of the cache is a hash over all of them.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (numba's decorators have no useful types)

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, ParamSpec, TypeVar

from numba import njit
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    InTreeCacheLocator,
)

Record = Any  # a row of a structured array; compiled code reaches its fields as attributes
Records = Any  # a structured array in compiled code

_P = ParamSpec("_P")
_R = TypeVar("_R")

_BARE: dict[str, Any] = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile `function` at its first call for the types of its arguments."""
    return _kept(njit(nogil=True)(function))


def bare(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function that makes no array and is called by compiled code only.

    Such a function does not count references to arrays: counting costs from 5 to 40 ns a call, more
    than many of these functions take. It has no wrapper for calls from Python either. numba refuses
    to compile a function that would need the counts.
    """
    return _kept(njit(nogil=True, **_BARE)(function))


def inlined(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function as `bare` does, and make it part of its callers.

    Use it for functions that run for every fix: a call passes each array as seven words, and the
    scratch arrays as some two hundred, which takes longer than most of these functions do. Each
    caller gets a copy of the code, so compiling takes longer.
    """
    return _kept(njit(nogil=True, forceinline=True, **_BARE)(function))


class _BesideTheSource(InTreeCacheLocator):
    """The folder beside the source, whether it can be written or not."""

    def ensure_cache_path(self) -> None:
        """Do nothing: the cache is only read."""


class _Places(CompileResultCacheImpl):
    """numba's own cache folders, then the folder beside the source."""

    _locator_classes: ClassVar = [*CompileResultCacheImpl._locator_classes, _BesideTheSource]


class _Cache(FunctionCache):
    """The cache of one function's machine code. The name of its file is a digest of all functions
    that it calls, so it is worked out at the first call, when all of them are defined.
    """

    _impl_class = _Places

    def __init__(self, dispatcher: Any) -> None:
        self._dispatcher = dispatcher
        super().__init__(dispatcher.py_func)

    @cached_property
    def _named_by_content(self) -> IndexDataCacheFile:
        digest = _digest(self._dispatcher)
        name = f"{self._impl.filename_base}-{digest[:16]}"
        beside = Path(self._dispatcher.py_func.__code__.co_filename).parent / "__pycache__"
        is_kept = (beside / f"{name}.nbi").exists()
        folder = str(beside) if is_kept else self._cache_path
        return IndexDataCacheFile(folder, name, source_stamp=digest)

    @property
    def _cache_file(self) -> IndexDataCacheFile:
        return self._named_by_content

    @_cache_file.setter
    def _cache_file(self, by_file: IndexDataCacheFile) -> None:
        """Ignore numba's own choice: it does not depend on the functions that are called."""

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super()._load_overload(sig, target_context)
        except (AttributeError, ImportError):  # it is about types that are no more
            self.flush()
            return None

    def _save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):  # no place where it could be kept
            super()._save_overload(sig, data)


def _kept(dispatcher: Any) -> Any:
    with suppress(RuntimeError):  # no place where machine code could be kept
        dispatcher._cache = _Cache(dispatcher)
    return dispatcher


def all_called(*dispatchers: Any) -> set[Any]:
    """Return the functions behind `dispatchers`, and behind all compiled functions they call."""
    reached: set[Any] = set()
    waiting = list(dispatchers)
    while waiting:
        function = waiting.pop().py_func
        if function in reached:
            continue
        reached.add(function)
        named = (function.__globals__.get(name) for name in function.__code__.co_names)
        waiting += [value for value in named if hasattr(value, "py_func")]
    return reached


@cache
def _digest(dispatcher: Any) -> str:
    """Hash the code of a function, the values that it refers to, and the functions
    that it calls.
    """
    function, code = dispatcher.py_func, dispatcher.py_func.__code__
    parts = [code.co_code.hex(), repr(code.co_consts), repr(code.co_names)]
    parts.append(repr(dispatcher.targetoptions))
    for name in code.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType):
            parts.append(value.__name__)  # its repr says where the file is
        else:
            parts.append(_digest(value) if hasattr(value, "py_func") else repr(value))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
