"""The parts of our readers that the inputs of the fuzzers reach, and which inputs are enough for
it.

    python -m tests.fuzz.coverage FOLDER

FOLDER has a folder of inputs for each target. Prints JSON: per file, how many lines of functions
are reached and which are not; per target, the names of inputs that reach each step from line to
line that all of them reach, short ones first.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeAlias

from tests.fuzz.targets import TARGETS, log_errors_only

ROOT = Path(__file__).parents[2]
Step: TypeAlias = tuple[str, int, int]
"""File, line and the line after it."""
FILES = [
    *sorted((ROOT / "mqtt" / "server").glob("*.py")),
    *(ROOT / "telemetry" / "formats" / f"{name}.py" for name in ("decode", "decoded", "gather")),
    *(ROOT / "telemetry" / "formats" / f"{name}.py" for name in ("native", "packed", "punches")),
    *(ROOT / "telemetry" / f"{name}.py" for name in ("attributes", "link", "punch", "topics")),
    ROOT / "listener" / "devices" / "proxy_protocol.py",
    *sorted((ROOT / "listener" / "tcp").glob("[ghmqt]*.py")),
    *sorted((ROOT / "telemetry" / "formats" / "boxes").glob("[ghmqt]*.py")),
]
_OURS = frozenset(map(str, FILES))
_reached: set[Step] = set()


def _functions(code: CodeType, *, is_function: bool) -> Iterator[CodeType]:
    if is_function:
        yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _functions(inner, is_function=inner.co_flags & 2 != 0)  # CO_NEWLOCALS


def lines_of(path: Path) -> set[int]:
    """Return lines of functions that do something."""
    module = compile(path.read_text(), str(path), "exec")
    return {
        line
        for function in _functions(module, is_function=False)
        for _, _, line in function.co_lines()
        if line is not None and line != function.co_firstlineno
    }


def _traced(frame: FrameType, event: str, _: object) -> Any:
    name = frame.f_code.co_filename
    if name not in _OURS:
        return None
    before = frame.f_lineno

    def step(frame: FrameType, event: str, _: object) -> Any:
        nonlocal before
        if event == "line":
            _reached.add((name, before, frame.f_lineno))
            before = frame.f_lineno
        return step

    return step


def enough(target: str, folder: Path) -> list[str]:
    """Return the names of inputs that reach all that the inputs of a folder reach."""
    names: list[str] = []
    for path in sorted(folder.iterdir(), key=lambda path: (path.stat().st_size, path.name)):
        data, before = path.read_bytes(), len(_reached)
        sys.settrace(_traced)
        TARGETS[target](data)
        sys.settrace(None)
        if len(_reached) > before:
            names.append(path.name)
    return names


def main(folder: Path) -> None:
    log_errors_only()
    names = {target: enough(target, folder / target) for target in TARGETS}
    reached: defaultdict[str, set[int]] = defaultdict(set)
    for name, _, line in _reached:
        reached[name].add(line)
    files: dict[str, dict[str, object]] = {}
    for path in FILES:
        if lines := lines_of(path):
            missed = sorted(lines - reached[str(path)])
            counts = {"lines": len(lines), "reached": len(lines) - len(missed), "missed": missed}
            files[str(path.relative_to(ROOT))] = counts
    json.dump({"files": files, "enough": names}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
