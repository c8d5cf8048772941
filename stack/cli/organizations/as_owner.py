"""Work in the database as its owner, who sees the rows of all organizations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from db.core.connect import Connection, connect
from db.core.errors import DatabaseError
from stack.cli.organizations.org import database_url
from stack.errors import StackError

_RESULT = TypeVar("_RESULT")


def run_as_owner(
    data_dir: Path, work: Callable[[Connection], Awaitable[_RESULT]], failed: str
) -> _RESULT:
    """Run `work` in one transaction as opsc_owner. failed: what the StackError says that is raised
    where the database does not do it.
    """

    async def connected() -> _RESULT:
        connection = await connect(database_url(data_dir), "opsc")
        async with connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE opsc_owner")
            return await work(connection)

    try:
        return asyncio.run(connected())
    except DatabaseError as error:
        raise StackError(f"{failed}: {error}") from error
