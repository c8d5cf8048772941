"""Statements that write, joined to one: each statement costs both ends as much as some rows do.

    conn.later(joined(assets.insertion(row), tags_insertion))

None of them may read what another one writes: PostgreSQL runs them on one snapshot, and the
triggers after rows when all are done. References between their rows hold: they are such triggers.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from db.core.pipeline_cursor import Asked

_PLACE = re.compile(rb"%\((\w+)\)s")


def joined(*asked: Asked) -> Asked:
    """Return one statement that does what these do. Whoever asks it takes no rows.

    PostgreSQL promises no order. It runs the statement itself first, then its WITH clause from the
    end: so the first of these is the statement, and the audit has their rows in their order.
    """
    if len(asked) == 1:
        return asked[0]
    statement, names = _joined(tuple(_text(query) for query, _ in reversed(asked)))
    values: list[Any] = []
    for (_, given), order in zip(reversed(asked), names, strict=True):
        assert given is not None  # every statement that writes rows has values
        values += [given[name] for name in order] if isinstance(given, Mapping) else given
    return statement, values


def _text(query: object) -> bytes:
    assert isinstance(query, bytes | str)
    return query if isinstance(query, bytes) else query.encode()


@lru_cache(maxsize=256)
def _joined(queries: tuple[bytes, ...]) -> tuple[bytes, tuple[tuple[str, ...], ...]]:
    """Return the statement with `%s` for each value, and the names of each part's values."""
    names = tuple(tuple(name.decode() for name in _PLACE.findall(query)) for query in queries)
    plain = [_PLACE.sub(b"%s", query) for query in queries]
    parts = [b"part%d AS (%b)" % (place, query) for place, query in enumerate(plain[:-1])]
    return b"WITH %b %b" % (b", ".join(parts), plain[-1]), names
