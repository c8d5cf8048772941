"""Quarantine as ingest writes it: messages that could not be stored as fixes, with the reason.

The same refusal of the same bytes is one row that counts how often it was seen: a message that the
broker hands over again after a crash is not kept twice. So is what nobody understands of one kind,
from one tracker in one hour: its first message is kept. How much is kept of a tracker in a day is
bounded, and so is what has no organization, as a whole. Beyond the bound a row without a payload,
one for each reason, counts what is not kept.

A row that was released stays, with `released_at`, until its message was judged again: then it goes,
or comes back under its id with the reason of now.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from hashlib import sha256
from typing import Any
from uuid import UUID

from db.core.connect import Connection
from db.core.ids import new_id
from telemetry.formats.decoded import MAX_MESSAGE_BYTES
from telemetry.rejection import Reason

KEPT_BYTES = 64 * 1024
NO_TRACKER = UUID(int=0)  # in quarantine_usage: all that has no organization


@dataclass(frozen=True, slots=True)
class DailyBound:
    """The bound of messages, and of their bytes, that are kept of one day (UTC)."""

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """of_tracker: of each. without_organization: of all that has none. refused_by_database: of each
    organization, beside the bound of its trackers, because the fault may be ours.
    """

    of_tracker: DailyBound = DailyBound(1_000, 16 * 1024 * 1024)
    without_organization: DailyBound = DailyBound(10_000, 64 * 1024 * 1024)
    refused_by_database: DailyBound = DailyBound(10_000, 512 * 1024 * 1024)


DEFAULT_BOUNDS = Bounds()


@dataclass(frozen=True)
class Refusal:
    """A reason for which one message, or the fixes at `positions` of its array, were rejected.

    One for each reason of a message, however many of its fixes: the payload is kept once.
    org_id and tracker_id are None where the sender is not known; detail is that of the first fix.
    released_id: the row of quarantine that the message was released from. counts_only: stands for
    messages that are not kept. oversize_bytes: how long the message was, where `payload` is only
    its beginning; 0: all of it. message: its place in the batch. alike: what messages have in
    common of which the first is kept; empty: each is.
    """

    org_id: UUID | None
    tracker_id: UUID | None
    topic: str
    reason: str
    detail: str
    positions: Sequence[int]
    payload: bytes
    released_id: UUID | None = None
    counts_only: bool = False
    oversize_bytes: int = 0
    message: int = 0
    alike: str = ""

    @cached_property
    def payload_sha256(self) -> bytes:
        return sha256(self.payload).digest()

    @cached_property
    def digest(self) -> bytes:
        more = str(self.oversize_bytes or "")
        if self.reason == Reason.WRONG_TOPIC:
            more += str(self.tracker_id)  # the topic does not tell whose it is
        text = f"{self.topic}\0{self.reason}\0".encode()
        if self.alike:
            return sha256(text + self.alike.encode()).digest()
        return sha256(text + self.payload_sha256 + more.encode()).digest()

    @property
    def kept_payload(self) -> bytes | None:
        if self.counts_only or self.oversize_bytes:
            return None
        most = MAX_MESSAGE_BYTES if self._may_be_our_fault else KEPT_BYTES
        return self.payload if len(self.payload) <= most else None

    @property
    def usage_key(self) -> UUID:
        """Return the key of the bound that the rejection counts against.

        The bound is that of the tracker, of the organization, or of all messages without one.
        """
        if self.org_id is None:
            return NO_TRACKER
        return self.org_id if self._may_be_our_fault else self.tracker_id or NO_TRACKER

    def bound(self, bounds: Bounds) -> DailyBound:
        """Return the bound that it counts against."""
        if self.usage_key == NO_TRACKER:
            return bounds.without_organization
        return bounds.refused_by_database if self._may_be_our_fault else bounds.of_tracker

    @property
    def _may_be_our_fault(self) -> bool:
        return self.reason == Reason.REFUSED_BY_DATABASE


async def keep(
    conn: Connection,
    refusals: Sequence[Refusal],
    received_at: datetime,
    bounds: Bounds = DEFAULT_BOUNDS,
) -> set[bytes]:
    """Write the rejections. A known one, or one beyond the bound, is only counted.

    Returns the digests of the messages beyond the bound, which have no row of their own.
    """
    if not refusals:
        return set()
    seen = Counter(refusal.digest for refusal in refusals)
    by_digest = dict[bytes, Refusal]()
    for refusal in refusals:
        by_digest.setdefault(refusal.digest, refusal)
    await _rename_released(conn, by_digest.values())
    known = await _known(conn, by_digest)
    usage = await _usage(conn, by_digest.values(), received_at.date(), bounds)
    rows: list[tuple[Any, ...]] = []
    beyond: Counter[bytes] = Counter()
    counters: dict[bytes, Refusal] = {}
    counted: set[bytes] = set()
    for digest, refusal in by_digest.items():
        if digest in known or usage.takes(refusal):
            rows.append(_row(refusal, digest, seen[digest], received_at))
        else:
            counter_digest, counter = _counter(refusal, received_at.date())
            counters.setdefault(counter_digest, counter)
            beyond[counter_digest] += seen[digest]
            counted.add(digest)
    rows += [
        _row(rejection, digest, beyond[digest], received_at)
        for digest, rejection in counters.items()
    ]
    await _write(conn, rows)
    await usage.store(conn)
    return counted


async def forget_released(conn: Connection, ids: Sequence[UUID]) -> None:
    """Remove rows whose messages were processed again, unless `keep` has written them again."""
    if ids:
        await conn.execute(
            "DELETE FROM quarantine WHERE id = ANY (%s) AND released_at IS NOT NULL", (list(ids),)
        )


async def remove_older(conn: Connection, before: datetime, limit: int) -> int:
    """Remove up to `limit` rows last seen before then, and return their number.

    What waits in the inbox stays, and what another transaction is busy with.
    """
    cursor = await conn.execute(
        """
        DELETE FROM quarantine WHERE id IN (
            SELECT id FROM quarantine AS old
             WHERE last_received_at < %s
               AND NOT EXISTS (SELECT FROM inbox WHERE quarantine_id = old.id)
             ORDER BY last_received_at LIMIT %s
               FOR UPDATE SKIP LOCKED)
        """,
        (before, limit),
    )
    await conn.execute("DELETE FROM quarantine_usage WHERE day < %s", (before.date(),))
    return cursor.rowcount


@dataclass(slots=True)
class _Usage:
    """The messages kept of a day, by tracker."""

    day: date
    bounds: Bounds
    kept: dict[UUID, tuple[int, int]]  # rows, bytes
    changed: set[UUID] = field(default_factory=set)

    def takes(self, refusal: Refusal) -> bool:
        """Return whether there is room for one more, which then counts.

        What was released is always taken: it was kept before.
        """
        key, bound = refusal.usage_key, refusal.bound(self.bounds)
        rows, size = self.kept.get(key, (0, 0))
        rows, size = rows + 1, size + len(refusal.kept_payload or b"")
        if refusal.released_id is None and (rows > bound.rows or size > bound.bytes):
            return False
        self.kept[key] = rows, size
        self.changed.add(key)
        return True

    async def store(self, conn: Connection) -> None:
        if not self.changed:
            return
        async with conn.cursor() as cursor:
            await cursor.executemany(
                """
                INSERT INTO quarantine_usage (day, tracker_id, kept_rows, kept_bytes)
                VALUES (%s, %s, %s, %s)
                ON CONFLICT (day, tracker_id) DO UPDATE
                   SET kept_rows = excluded.kept_rows, kept_bytes = excluded.kept_bytes
                """,
                [(self.day, key, *self.kept[key]) for key in self.changed],
            )


async def _usage(
    conn: Connection, refusals: Collection[Refusal], day: date, bounds: Bounds
) -> _Usage:
    keys = list({refusal.usage_key for refusal in refusals})
    cursor = await conn.execute(
        "SELECT tracker_id, kept_rows, kept_bytes FROM quarantine_usage"
        " WHERE day = %s AND tracker_id = ANY (%s)",
        (day, keys),
    )
    kept = {key: (rows, size) for key, rows, size in await cursor.fetchall()}
    return _Usage(day, bounds, kept)


async def _known(conn: Connection, digests: Iterable[bytes]) -> set[bytes]:
    cursor = await conn.execute(
        "SELECT digest FROM quarantine WHERE digest = ANY (%s)", (list(digests),)
    )
    return {digest for (digest,) in await cursor.fetchall()}


async def _rename_released(conn: Connection, refusals: Iterable[Refusal]) -> None:
    """Give a released row the new reason, if the message is rejected for another reason by now."""
    first = {r.released_id: r for r in reversed(list(refusals)) if r.released_id is not None}
    for released_id, refusal in first.items():
        await conn.execute(
            """
            UPDATE quarantine
               SET org_id = %(org_id)s, tracker_id = %(tracker_id)s, digest = %(digest)s,
                   reason = %(reason)s, detail = %(detail)s, positions = %(positions)s
             WHERE id = %(id)s AND NOT EXISTS (SELECT FROM quarantine WHERE digest = %(digest)s)
            """,
            {
                "id": released_id,
                "org_id": refusal.org_id,
                "tracker_id": refusal.tracker_id,
                "digest": refusal.digest,
                "reason": refusal.reason,
                "detail": _storable(refusal.detail),
                "positions": list(refusal.positions),
            },
        )


def _counter(refusal: Refusal, day: date) -> tuple[bytes, Refusal]:
    """Return the digest and the row that counts what is not kept, for the same reason on the same
    day.
    """
    key = f"counts only\0{refusal.usage_key}\0{refusal.reason}\0{day}"
    detail = f"beyond what is kept of {day}: counted only"
    counter = replace(
        refusal,
        detail=detail,
        positions=(),
        payload=b"",
        released_id=None,
        counts_only=True,
        oversize_bytes=0,
    )
    return sha256(key.encode()).digest(), counter


def _row(refusal: Refusal, digest: bytes, seen: int, received_at: datetime) -> tuple[Any, ...]:
    return (
        refusal.org_id,
        refusal.tracker_id,
        new_id(),
        digest,
        _storable(refusal.topic),
        refusal.reason,
        _storable(refusal.detail),
        list(refusal.positions),
        refusal.kept_payload,
        refusal.oversize_bytes or len(refusal.payload),
        refusal.payload_sha256,
        refusal.counts_only,
        int(refusal.released_id is not None),
        seen,
        received_at,
        received_at,
    )


async def _write(conn: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    async with conn.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO quarantine (org_id, tracker_id, id, digest, topic, reason, detail,
                                    positions, payload, payload_bytes, payload_sha256, counts_only,
                                    releases, seen, first_received_at, last_received_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (digest) DO UPDATE
               SET seen = quarantine.seen + excluded.seen,
                   detail = excluded.detail, positions = excluded.positions,
                   last_received_at = excluded.last_received_at,
                   released_at = CASE WHEN excluded.releases = 0 THEN quarantine.released_at END
            """,
            rows,
        )


def _storable(text: str) -> str:
    """Replace NUL in a text, which PostgreSQL does not keep."""
    return text.replace("\0", "\\0")
