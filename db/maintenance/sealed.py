"""The stored secrets that are sealed (`db.core.secrets`): how many are sealed under an older key of
the ring, and sealing these anew under the first one, while the system runs.

Rows are sealed anew in transactions of a few rows each, so work that was cut short goes on where it
ended. A row that somebody else has locked is left out: it is neither waited for nor overwritten.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.secrets import (
    ENCRYPTION_KEYS,
    KEPT_ANSWERS,
    WEBHOOK_SECRETS,
    SecretBox,
    SecretKeys,
    UnsealError,
)
from db.core.tenant import act_for
from db.delivery.webhook_headers import headers_owner
from db.requests import idempotency
from db.resources.organizations import listing

ROWS_AT_ONCE = 50

_Row = tuple[Any, ...]


class SealedTable(NamedTuple):
    """A table with sealed columns. start: before the first key of an organization. owners: for
    whom each column of a row is sealed, by the values of its key.
    """

    name: str
    title: str
    key: Sequence[str]
    start: Sequence[object]
    columns: Sequence[str]
    purpose: bytes
    owners: Callable[..., Sequence[bytes]]


class SealedRows(NamedTuple):
    """Numbers of rows. under_older: of those that an older key opens. lost: of those that no key of
    the ring opens.
    """

    rows: int
    under_older: int
    lost: int


def _owners_of_endpoint(_: UUID, endpoint_id: UUID) -> Sequence[bytes]:
    return [endpoint_id.bytes, endpoint_id.bytes, headers_owner(endpoint_id)]


def _owners_of_answer(org_id: UUID, operation: str, key: str) -> Sequence[bytes]:
    return [idempotency.owner(org_id, operation, key)]


def _owner_of_key(_: UUID, tracker_id: UUID) -> Sequence[bytes]:
    return [tracker_id.bytes]


ENDPOINTS = SealedTable(
    "webhook_endpoints",
    "webhook endpoints",
    ["org_id", "id"],
    [UUID(int=0)],
    ["secret_encrypted", "previous_secret_encrypted", "headers_encrypted"],
    WEBHOOK_SECRETS,
    _owners_of_endpoint,
)
ANSWERS = SealedTable(
    "idempotency_keys",
    "kept answers",
    ["org_id", "operation", "key"],
    ["", ""],
    ["answer_encrypted"],
    KEPT_ANSWERS,
    _owners_of_answer,
)
TRACKER_KEYS = SealedTable(
    "tracker_encryption_keys",
    "encryption keys of trackers",
    ["org_id", "tracker_id"],
    [UUID(int=0)],
    ["key_encrypted"],
    ENCRYPTION_KEYS,
    _owner_of_key,
)
TABLES = (ENDPOINTS, ANSWERS, TRACKER_KEYS)


async def seal_anew(conn: Connection, table: SealedTable, secret_keys: SecretKeys) -> SealedRows:
    """Seal what is under an older key under the first one, as opsc_owner. The result has the
    numbers of before.
    """
    return await _gone_through(conn, table, secret_keys, writes=True)


async def count(conn: Connection, table: SealedTable, secret_keys: SecretKeys) -> SealedRows:
    """Count as `seal_anew` does, and write nothing."""
    return await _gone_through(conn, table, secret_keys, writes=False)


async def count_endpoints(conn: Connection, secret_keys: SecretKeys) -> SealedRows:
    """Count the webhook endpoints, by a login that row-level security does not hold."""
    box, seen = SecretBox(secret_keys, ENDPOINTS.purpose), SealedRows(0, 0, 0)
    behind = (UUID(int=0), *ENDPOINTS.start)
    while behind is not None:
        rows, behind = await _page(conn, ENDPOINTS, behind)
        seen, _ = _looked_at(box, ENDPOINTS, rows, seen)
    return seen


async def _gone_through(
    conn: Connection, table: SealedTable, secret_keys: SecretKeys, *, writes: bool
) -> SealedRows:
    """Look at every row, each page in a transaction of its own."""
    box, seen = SecretBox(secret_keys, table.purpose), SealedRows(0, 0, 0)
    async with conn.transaction():
        await _become_owner(conn)
        org_ids = [each.id for each in await listing(conn)]
    for org_id in org_ids:
        behind = (org_id, *table.start)
        while behind is not None:
            async with conn.transaction():
                await _become_owner(conn)
                await act_for(conn, org_id)
                rows, behind = await _page(conn, table, behind, lock=writes)
                seen, anew = _looked_at(box, table, rows, seen)
                if writes and anew:
                    async with conn.cursor() as cursor:
                        await cursor.executemany(_update(table), anew)
    return seen


async def _page(
    conn: Connection, table: SealedTable, behind: _Row, *, lock: bool = False
) -> tuple[list[_Row], _Row | None]:
    """Return the rows behind a key, and the key behind which the next page begins; None where this
    is the last one.
    """
    key = _names(table.key)
    text = "SELECT {}, {} FROM {} WHERE ({}) > ({}) ORDER BY {} LIMIT %s"
    statement = sql.SQL(text).format(
        key,
        _names(table.columns),
        sql.Identifier(table.name),
        key,
        sql.SQL(", ").join([sql.Placeholder()] * len(table.key)),
        key,
    )
    if lock:
        statement += sql.SQL(" FOR NO KEY UPDATE SKIP LOCKED")
    rows = await (await conn.execute(statement, [*behind, ROWS_AT_ONCE])).fetchall()
    is_last = len(rows) < ROWS_AT_ONCE
    return rows, None if is_last else tuple(rows[-1][: len(table.key)])


def _looked_at(
    box: SecretBox, table: SealedTable, rows: Sequence[_Row], seen: SealedRows
) -> tuple[SealedRows, list[_Row]]:
    """Return the numbers with those of these rows, and the values of `_update` for the rows that
    are under an older key.
    """
    anew: list[_Row] = []
    lost = 0
    for row in rows:
        key, columns = row[: len(table.key)], row[len(table.key) :]
        changed, is_lost = list(columns), False
        for place, (sealed, owner) in enumerate(zip(columns, table.owners(*key), strict=True)):
            if sealed is None:
                continue
            try:
                changed[place] = box.sealed_anew(sealed, owner) or sealed
            except UnsealError:
                is_lost = True
        lost += is_lost
        if changed != list(columns):
            anew.append((*changed, *key))
    return SealedRows(seen.rows + len(rows), seen.under_older + len(anew), seen.lost + lost), anew


async def _become_owner(conn: Connection) -> None:
    await conn.execute("SET LOCAL ROLE opsc_owner")


def _update(table: SealedTable) -> sql.Composed:
    given = sql.SQL("{} = %s")
    return sql.SQL("UPDATE {} SET {} WHERE {}").format(
        sql.Identifier(table.name),
        sql.SQL(", ").join([given.format(sql.Identifier(name)) for name in table.columns]),
        sql.SQL(" AND ").join([given.format(sql.Identifier(name)) for name in table.key]),
    )


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
