"""Names of the tenant's things, for people who read a document or a list."""

from collections.abc import Iterable
from typing import Literal
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import rows_of

NamedTable = Literal["assets", "clients", "employees", "sites", "users"]


async def names_of(conn: Connection, table: NamedTable, row_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return names by id, of deleted things, too; of a user without a name the address."""
    name = "coalesce(name, email)" if table == "users" else "name"
    statement = sql.SQL("SELECT id, {} FROM {} WHERE id = ANY (%s)").format(
        sql.SQL(name), sql.Identifier(table)
    )
    return dict(await rows_of(conn, statement, (list(row_ids),)))
