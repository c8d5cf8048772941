"""The rows that PostgreSQL looked at for a statement, as it was executed."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import AsyncCursor


class Explaining(AsyncCursor[Any]):
    """A cursor that keeps the plan of each statement, as it was executed."""

    plans: list[dict[str, Any]]

    async def execute(self, query: Any, params: Any = None, **options: Any) -> "Explaining":
        text = query.decode() if isinstance(query, bytes) else query
        text = text if isinstance(text, str) else text.as_string(self.connection)
        if text.startswith("CALL "):  # it has no plan
            return await super().execute(query, params, **options)
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}"
        async with psycopg.AsyncCursor(self.connection) as cursor:
            await cursor.execute(explain.encode(), params)
            row = await cursor.fetchone()
        assert row is not None
        type(self).plans.append(row[0][0]["Plan"])
        return await super().execute(query, params, **options)


def looked_at(plan: Mapping[str, Any]) -> float:
    """Return how many rows a plan's scans read, those that they threw away included."""
    own = 0.0
    if "Scan" in plan["Node Type"] and plan["Node Type"] not in ("CTE Scan", "Subquery Scan"):
        removed = plan.get("Rows Removed by Filter", 0)
        removed += plan.get("Rows Removed by Index Recheck", 0)
        own = (plan["Actual Rows"] + removed) * plan["Actual Loops"]
    return own + sum(map(looked_at, plan.get("Plans", ())))
