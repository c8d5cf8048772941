"""Kinds of things that have ids, one line a kind.

From a kind's line follow its ids (`api.http.fields.IdOf`), references to it in bodies and filters
(`api.request.references`), its quota (`db.resources.quotas`), its name in the audit, the conflict
of its `external_id` (`api.http.errors`), and one thing of it in the tests of tenants and quotas.
"""

from collections.abc import Collection, Mapping
from functools import cache
from typing import NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import fetch_one, rows_of


class Kind(NamedTuple):
    """A kind of things.

    name: as the audit has it. prefix: of the ids. table: the table of the things; None where no ids
    are looked up. most_rows: as many as the plans starter, team and unlimited have room for; None
    where something else bounds them. words: the name as people read it, where it is another.
    """

    name: str
    prefix: str
    table: str | None = None
    most_rows: tuple[int, int, int] | None = None
    words: str = ""
    is_soft_deleted: bool = True
    is_audited: bool = True

    @property
    def noun(self) -> str:
        """The name for people."""
        return self.words or self.name.replace("_", " ")

    @property
    def one(self) -> str:
        """The name for people with its article."""
        return f"{'an' if self.noun[0] in 'aeioA' else 'a'} {self.noun}"

    async def existed(self, conn: Connection, row_ids: Collection[UUID]) -> set[UUID]:
        """Return the ids of which the tenant has a thing, soft-deleted or not."""
        statement = sql.SQL("SELECT id FROM {} WHERE id = ANY (%s)").format(self.identifier)
        return {row_id for (row_id,) in await rows_of(conn, statement, (list(row_ids),))}

    async def lock_existing(self, conn: Connection, row_ids: Collection[UUID]) -> set[UUID]:
        """Return the ids whose things are there and not soft-deleted, and keep these things so
        until the transaction ends.
        """
        return {row_id for (row_id,) in await rows_of(conn, _locking(self), (list(row_ids),))}

    @property
    def identifier(self) -> sql.Identifier:
        """The name of the table."""
        assert self.table is not None  # ids of others are not looked up
        return sql.Identifier(self.table)


async def lock_all_existing(
    conn: Connection, row_ids: Mapping[Kind, Collection[UUID]]
) -> dict[Kind, set[UUID]]:
    """Lock things of several kinds as `Kind.lock_existing` does those of one, by one statement."""
    kinds = tuple(row_ids)
    row = await fetch_one(
        await conn.execute(_locking_all(kinds), [list(row_ids[kind]) for kind in kinds])
    )
    return {kind: set(found) for kind, found in zip(kinds, row, strict=True)}


@cache
def _locking(kind: Kind) -> bytes:
    return _locking_sql(kind).as_bytes()


@cache
def _locking_all(kinds: tuple[Kind, ...]) -> bytes:
    """Return the statement that locks things of these kinds, one after the other."""
    each = [sql.SQL("ARRAY({})").format(_locking_sql(kind)) for kind in kinds]
    return sql.SQL("SELECT {}").format(sql.SQL(", ").join(each)).as_bytes()


def _locking_sql(kind: Kind) -> sql.Composed:
    is_live = sql.SQL("AND deleted_at IS NULL" if kind.is_soft_deleted else "")
    statement = sql.SQL("SELECT id FROM {} WHERE id = ANY (%s::uuid[]) {} ORDER BY id FOR SHARE")
    return statement.format(kind.identifier, is_live)


_ALL = (
    Kind("organization", "org"),
    Kind("user", "usr", "users", (500, 5_000, 50_000), is_soft_deleted=False),
    Kind("api_key", "key", "api_keys", (200, 1_000, 10_000), "API key", is_soft_deleted=False),
    Kind("sign_in", "sgn", words="sign-in"),
    Kind("client", "cli", "clients", (10_000, 50_000, 200_000)),
    Kind("site", "sit", "sites", (10_000, 50_000, 200_000)),
    Kind("employee", "emp", "employees", (2_000, 20_000, 200_000)),
    Kind("asset", "ast", "assets", (10_000, 100_000, 1_000_000)),
    Kind("tracker", "trk", "trackers", (10_000, 100_000, 1_000_000), is_soft_deleted=False),
    Kind("gateway", "gtw", "gateways", (50, 200, 1_000), is_soft_deleted=False),
    Kind("unknown_device", "unk", "unknown_devices", is_soft_deleted=False, is_audited=False),
    Kind("zone", "zon", "zones", (10_000, 50_000, 100_000)),
    Kind("attachment", "att", "attachments", (20_000, 200_000, 2_000_000), is_soft_deleted=False),
    Kind("punch", "pun", "punches", is_soft_deleted=False),
    Kind("shift", "shf", is_audited=False),
    Kind("timesheet", "tms"),
    Kind("adjustment", "adj", is_audited=False),
    Kind("part", "prt", "parts", (2_000, 20_000, 100_000)),
    Kind("warehouse", "whs", "warehouses", (50, 500, 5_000)),
    Kind(
        "inventory",
        "inv",
        "inventory",
        (10_000, 50_000, 200_000),
        "stock record",
        is_soft_deleted=False,
    ),
    Kind("stock_movement", "mov", "stock_movements", is_soft_deleted=False, is_audited=False),
    Kind("stock_lot", "lot", "stock_lots", is_soft_deleted=False, is_audited=False),
    Kind("quote", "quo", "quotes", (20_000, 100_000, 1_000_000)),
    Kind("work_order", "wo", "work_orders", (100_000, 1_000_000, 10_000_000)),
    Kind("work_order_comment", "woc", words="comment", is_audited=False),
    Kind("work_order_transition", "wot", words="transition", is_audited=False),
    Kind("inspection_template", "itpl", "inspection_templates", (200, 1_000, 5_000)),
    Kind("inspection_form", "insp", "inspection_forms", is_soft_deleted=False),
    Kind("webhook_endpoint", "whe", "webhook_endpoints", (100, 500, 2_000)),
    Kind("webhook_delivery", "dlv", words="delivery", is_audited=False),
    Kind("visit", "vis", is_audited=False),
    Kind("alert", "alr", "alerts", is_soft_deleted=False, is_audited=False),
    Kind("job", "job", "jobs", is_soft_deleted=False),
    Kind("report_schedule", "rsc", "report_schedules", (50, 50, 50), is_soft_deleted=False),
    Kind("command", "cmd", "commands", is_soft_deleted=False),
    Kind("event", "evt", "events", is_soft_deleted=False, is_audited=False),
    Kind("quarantine", "qua", words="message in quarantine", is_audited=False),
    Kind("fix", "fix", words="GPS event", is_audited=False),
)
KINDS = {kind.name: kind for kind in _ALL}


def kind_of_table(table: str) -> Kind:
    """Return the kind whose things stand in the table."""
    return next(kind for kind in KINDS.values() if kind.table == table)
