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


def joined(*asked: Asked, taken: Asked | None = None) -> Asked:
    """Return one statement that does what these do. Whoever asks it takes no rows.

    taken: the statement that takes a number, which the others read as `db.core.numbers.TAKEN`. The
    number that the first of them has written is the one row then.

    PostgreSQL promises no order. It runs the statement itself first, then its WITH clause from the
    end: so the first of these is the statement, and the audit has their rows in their order.
    """
    if len(asked) == 1 and taken is None:
        return asked[0]
    parts = [*([] if taken is None else [taken]), *reversed(asked)]
    queries = tuple(_text(query) for query, _ in parts)
    statement, names = _joined(queries, takes_number=taken is not None)
    values: list[Any] = []
    for (_, given), order in zip(parts, names, strict=True):
        assert given is not None  # every statement that writes rows has values
        values += [given[name] for name in order] if isinstance(given, Mapping) else given
    return statement, values


def _text(query: object) -> bytes:
    assert isinstance(query, bytes | str)
    return query if isinstance(query, bytes) else query.encode()


@lru_cache(maxsize=256)
def _joined(
    queries: tuple[bytes, ...], *, takes_number: bool
) -> tuple[bytes, tuple[tuple[str, ...], ...]]:
    """Return the statement with `%s` for each value, and the names of each part's values."""
    names = tuple(tuple(name.decode() for name in _PLACE.findall(query)) for query in queries)
    plain = [_PLACE.sub(b"%s", query) for query in queries]
    parts = [b"part%d AS (%b)" % (place, query) for place, query in enumerate(plain[:-1])]
    returning = b""
    if takes_number:
        parts[0], returning = b"taken AS (%b)" % plain[0], b" RETURNING number"
    return b"WITH %b %b%b" % (b", ".join(parts), plain[-1], returning), names
