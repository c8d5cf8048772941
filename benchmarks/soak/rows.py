"""The rows of a soak run's background in the database, while it goes on and in the end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString, Self
from uuid import UUID

import psycopg

from benchmarks.common import rows as setup_rows
from benchmarks.common.workload import INTERVAL_S, START_US

_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Background:
    """The fate of the fleet's messages. wrong: trackers that have other rows than they sent.

    given_up: messages that were due and not sent, since the bounds of the load held them back.
    """

    sent: int
    stored: int
    wrong: int
    refused: int
    events: int
    gaps_in_seq: int
    connects: int
    given_up: int

    @property
    def is_exact(self) -> bool:
        return self.sent == self.stored and not (self.wrong or self.refused or self.gaps_in_seq)


class Rows:
    """The rows of the background in the database; a superuser's connection, made anew
    if need be.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._conn: psycopg.AsyncConnection[tuple[Any, ...]] | None = None
        self.stored = 0  # of one tracker, as of the last look

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._conn is not None:
            await self._conn.close()

    async def look(self) -> int:
        """Return messages of the first tracker that are stored, by the time of its newest fix.

        All trackers take turns, so that each has as many. The last answer while there is none.
        """
        with contextlib.suppress(psycopg.Error):
            query = "SELECT extract(epoch FROM max(time)) FROM gps_events WHERE tracker_id = %s"
            [(newest_s,)] = await self._all(query, setup_rows.tracker_uuid(0))
            if newest_s is not None:
                self.stored = round((float(newest_s) - START_US / 1e6) / INTERVAL_S) + 1
        return self.stored

    async def counted(self, told: Mapping[str, Any], patience_s: float) -> Background:
        """Count what became of all that the load generator told, once it has come, or
        nothing does.
        """
        sent: list[int] = told["sent"]
        deadline = time.monotonic() + patience_s
        while True:
            rows = await self._by_tracker()
            events, greatest, numbered = await self._events()
            is_complete = sum(rows.values()) >= sum(sent) and events == numbered
            if is_complete or time.monotonic() > deadline:
                break
            await asyncio.sleep(_LOOK_S)
        found = [rows.get(setup_rows.tracker_uuid(number), 0) for number in range(len(sent))]
        return Background(
            sent=sum(sent),
            stored=sum(rows.values()),
            wrong=sum(one != messages for one, messages in zip(found, sent, strict=True)),
            refused=await self._refused(),
            events=events,
            gaps_in_seq=events - numbered + abs(greatest - numbered),
            connects=told["connects"],
            given_up=told["given_up"],
        )

    async def _by_tracker(self) -> Mapping[UUID, int]:
        query = "SELECT tracker_id, count(*) FROM gps_events WHERE org_id = %s GROUP BY 1"
        return dict(await self._all(query, setup_rows.ORGANIZATION))

    async def _events(self) -> tuple[int, int, int]:
        """Return how many events there are, their greatest number, how many are numbered."""
        query = "SELECT count(*), coalesce(max(seq), 0), count(seq) FROM events WHERE org_id = %s"
        [row] = await self._all(query, setup_rows.ORGANIZATION)
        return row

    async def _refused(self) -> int:
        query = "SELECT count(*) FROM quarantine WHERE org_id = %s"
        [(found,)] = await self._all(query, setup_rows.ORGANIZATION)
        return found

    async def _all(self, query: LiteralString, value: UUID) -> list[Any]:
        if self._conn is None or self._conn.closed:
            self._conn = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        return await (await self._conn.execute(query, (value,))).fetchall()
