"""What the delivering role says of the archive on its page of metrics."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterable
from typing import NamedTuple

from stack.host.pages import open_page
from stack.installed.readiness import TIMEOUT_S

_LIMIT_BYTES = 1_000_000
_GAUGE = re.compile(r"^opsc_archive_(\w+) ([0-9.e+]+)$", re.MULTILINE)


class ArchiveState(NamedTuple):
    """The outcome of the newest pass. waiting_days: of that which runs now, too."""

    waiting_days: int
    failed_days: int
    orphans: int


def archive_state(urls: Iterable[str]) -> ArchiveState | None:
    """Return what the process says that made the newest pass; None where none has made one. urls:
    of the pages of metrics.
    """
    told = [
        {name: float(value) for name, value in _GAUGE.findall(page)} for page in map(_page, urls)
    ]
    if not told:
        return None
    newest = max(told, key=_passed_at)
    if not _passed_at(newest):
        return None
    return ArchiveState(*(int(newest.get(name, 0)) for name in ArchiveState._fields))


def _passed_at(gauges: dict[str, float]) -> float:
    return gauges.get("last_pass_timestamp_seconds", 0)


def _page(url: str) -> str:
    """Return a page; "" where nobody answers."""
    try:
        with open_page(url, TIMEOUT_S) as answer:
            return answer.read(_LIMIT_BYTES).decode()
    except (OSError, http.client.HTTPException, ValueError):
        return ""
