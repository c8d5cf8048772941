"""What strace wrote of the calls of a process, with -f -ttt -T -y -xx."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_UNFINISHED = " <unfinished ...>"
_CALL = re.compile(
    r"(\w+)\(\d+(?:<((?:\\x[0-9a-f]{2})*)>)?(.*)\) += (-?\d+)(?: \w+ \(.*\))?(?: <(.*)>)?$"
)
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


class Call(NamedTuple):
    """A call that has a file or a connection. path: its name. data: the bytes handed over.

    began_s, ended_s: by the clock of the machine. result: as the kernel returned it.
    """

    name: str
    path: str
    data: bytes
    began_s: float
    ended_s: float
    result: int


def calls(lines: Iterable[str]) -> Iterator[Call]:
    """Yield the calls that have ended, in the order of their ends."""
    begun: dict[str, tuple[float, str]] = {}
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            continue
        thread, at_s, text = found[1], float(found[2]), found[3]
        if text.endswith(_UNFINISHED):
            begun[thread] = (at_s, text.removesuffix(_UNFINISHED))
            continue
        began_s, ended_s = at_s, None
        if (resumed := _RESUMED.match(text)) is not None and thread in begun:
            began_s, first = begun.pop(thread)
            text, ended_s = first + text[resumed.end() :], at_s
        if (call := _CALL.match(text)) is not None:
            name, path, arguments, result, took_s = call.groups()
            data = b"".join(_bytes(part) for part in _TEXT.findall(arguments))
            if ended_s is None:
                ended_s = at_s + float(took_s or 0)
            yield Call(name, _bytes(path or "").decode(), data, began_s, ended_s, int(result))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
