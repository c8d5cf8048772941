"""Places for open connections of live readers, which the processes of the API share.

One row of each process has the places that it holds, by organization. The database gives them out
to one process at a time, so that the sum never exceeds an organization's limit. A row that was not
renewed for a while is of a process that has ended.
"""

from collections.abc import Mapping
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of


async def share(
    conn: Connection,
    process_id: UUID,
    slots: Mapping[UUID, int],
    *,
    wanting: UUID | None,
    most: int,
    dead_after_s: float,
) -> int:
    """Write the places that a process holds, which show that it lives; none: it holds no more.

    wanting: an organization of `slots`, for which the process wants more places, up to `most` over
    all processes. Returns the places that it has for that organization then, 0 for None.
    """
    return await value_of(
        conn,
        "SELECT share_live_slots(%s, %s::uuid[], %s::integer[], %s, %s, %s)",
        (process_id, list(slots), list(slots.values()), wanting, most, dead_after_s),
    )
