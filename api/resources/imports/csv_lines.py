"""Lines of CSV, each checked as the body of a POST.

The header names fields of the body, in any order. A cell is the value of its field: a text as it
is, a number, `true` or `false`, and of a list its elements with semicolons between. An empty cell
is not given. Each line has an `external_id`, by which it is known when the file comes again.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from api.http.errors import fault_of
from api.http.fields import Body, parts_of
from api.http.problems import Fault, Problem
from operations.jobs import Fault as LineFault

MOST_LINES = 10_000
_KEY = "external_id"
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_FLAGS = {"true": True, "false": False}

_BODY = TypeVar("_BODY", bound=Body)


class CsvLines(NamedTuple, Generic[_BODY]):
    """The lines that are bodies by themselves, by their number, and what is wrong with others."""

    bodies: list[tuple[int, _BODY]]
    faults: list[LineFault]


def read_lines(content: bytes, body: type[_BODY]) -> CsvLines[_BODY]:
    """Read a file. Raises Problem (422) where it is none, or has a header that is none."""
    rows = _rows(content)
    header = _header(next(rows, (1, []))[1], body.model_fields)
    bodies: list[tuple[int, _BODY]] = []
    faults: list[LineFault] = []
    first: dict[str, int] = {}
    for count, (line, cells) in enumerate(rows, 1):
        if count > MOST_LINES:
            raise _refused(f"The file has more than {MOST_LINES:,} lines: split it.")
        if len(cells) != len(header):
            message = f"The line has {len(cells)} fields, and the header names {len(header)}."
            faults.append(LineFault(message, line))
            continue
        values = {
            name: _value(cell, body.model_fields[name])
            for name, cell in zip(header, cells, strict=True)
            if cell != ""
        }
        try:
            read = body.model_validate(values)
        except ValidationError as error:
            found = [fault_of(each, each["loc"]) for each in error.errors(include_url=False)]
            faults += _faults(line, found)
            continue
        key: str | None = getattr(read, _KEY)
        if key is None:
            faults.append(LineFault("Each line of an import has an external_id.", line, _KEY))
        elif (other := first.setdefault(key, line)) != line:
            faults.append(LineFault(f"Line {other} has this external_id.", line, _KEY))
        else:
            bodies.append((line, read))
    return CsvLines(bodies, faults)


def faults_of(line: int, problem: Problem) -> list[LineFault]:
    """Return the faults of a line that a problem (422) has. Raises any other problem."""
    if problem.status != 422:
        raise problem
    return list(_faults(line, problem.faults))


def _faults(line: int, faults: Sequence[Fault]) -> Iterator[LineFault]:
    for fault in faults:
        column = (fault.pointer or "").removeprefix("/").partition("/")[0]
        yield LineFault(fault.message, line, column or None)


def _rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line that is not blank."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise _refused(f"Line {line} is not UTF-8.") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cells):
                yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise _refused(f"Line {reader.line_num} is not CSV: {error}.") from None


def _header(names: list[str], known: Mapping[str, FieldInfo]) -> list[str]:
    if len(names) == 1 and ";" in names[0]:
        raise _refused("The header is separated by semicolons: separate fields by commas.")
    for name in names:
        if name not in known:
            raise _refused(
                f"The header names {name[:50]!r}. Known columns: {', '.join(known)}.", name[:200]
            )
        if names.count(name) > 1:
            raise _refused(f"The header names {name} twice.", name)
    if _KEY not in names:
        raise _refused("The header has no column external_id.", _KEY)
    return names


def _refused(message: str, column: str | None = None) -> Problem:
    fault = Fault(message, pointer="" if column is None else f"/{column}")
    return Problem(422, "invalid_csv", "The file cannot be imported.", faults=(fault,))


def _value(cell: str, field: FieldInfo) -> object:
    """Return the JSON value that a cell stands for; its text where it stands for none."""
    parts = list(parts_of(field))
    if any(get_origin(part) is list or part is list for part in parts):
        return [part.strip() for part in cell.split(";") if part.strip()]
    types = {part for part in parts if isinstance(part, type)} | {
        type(value) for part in parts for value in get_args(part) if isinstance(value, bool)
    }
    if bool in types:
        return _FLAGS.get(cell.lower(), cell)
    if types & {int, float} and _NUMBER.fullmatch(cell):
        return msgspec.json.decode(cell)
    return cell
