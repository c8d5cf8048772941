"""Which fixes are asked for: spans (tracker, since, until), and conditions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg import sql

from db.core.listing import Conditions
from db.fixes.areas import Area
from db.fixes.zone_spans import ZoneVisits

_ALL_OF_TRACKERS = sql.SQL(
    "SELECT unnest(%(trackers)s::uuid[]) AS tracker_id, '-infinity'::timestamptz AS since,"
    " 'infinity'::timestamptz AS until"
)
_IS_OF_NOBODY_ELSE: LiteralString = """
NOT EXISTS (SELECT FROM tracker_assignments AS held
              JOIN employees AS holder
                ON holder.org_id = held.org_id AND holder.id = held.employee_id
             WHERE held.org_id = g.org_id AND held.tracker_id = g.tracker_id
               AND held.assigned_from <= g.time
               AND (held.assigned_to IS NULL OR g.time < held.assigned_to)
               AND holder.user_id IS DISTINCT FROM %(reader)s)
"""

# A SELECT of (tracker_id, since, until) with its values; None: all fixes, of which row-level
# security leaves the tenant's.
Spans = tuple[sql.Composable, dict[str, object]] | None


@dataclass(frozen=True, slots=True)
class FixFilter:
    """A filter of fixes: time in [since, until), of trackers, of assets, of employees' trackers,
    within visits of a zone, in an area. Of what is empty: all. hides_people_from: the user who
    reads no fixes of other people's trackers; None: all are read.
    """

    tracker_ids: Sequence[UUID] = ()
    asset_ids: Sequence[UUID] = ()
    employee_ids: Sequence[UUID] = ()
    zone_id: UUID | None = None
    area: Area | None = None
    since: datetime | None = None
    until: datetime | None = None
    hides_people_from: UUID | None = None

    def spans(self) -> Spans:
        """Return no values: the row says nothing but when."""
        if self.zone_id is not None:
            return self.visits().spans()
        if self.asset_ids or self.employee_ids:
            return self._assignments()
        if self.tracker_ids:
            return _ALL_OF_TRACKERS, {"trackers": list(self.tracker_ids)}
        return None

    def visits(self) -> ZoneVisits:
        assert self.zone_id is not None
        return ZoneVisits(self.zone_id, self.asset_ids, self.tracker_ids, self.since, self.until)

    def window(self) -> Conditions:
        """Return the conditions of each fix, `g`."""
        conditions = Conditions()
        if self.since is not None:
            conditions.add("g.time >= %(since)s", since=self.since)
        if self.until is not None:
            conditions.add("g.time < %(until)s", until=self.until)
        if self.hides_people_from is not None:
            conditions.add(_IS_OF_NOBODY_ELSE, reader=self.hides_people_from)
        if self.area is not None:
            conditions.add_all(self.area.holds())
        return conditions

    def _assignments(self) -> tuple[sql.Composable, dict[str, object]]:
        conditions = Conditions()
        for column, ids in (
            ("asset_id", self.asset_ids),
            ("employee_id", self.employee_ids),
            ("tracker_id", self.tracker_ids),
        ):
            if ids:
                wanted = sql.SQL("a.{} = ANY ({})").format(
                    sql.Identifier(column), sql.Placeholder(column)
                )
                conditions.add(wanted, **{column: list(ids)})
        statement = sql.SQL(
            """
            SELECT a.tracker_id, a.assigned_from AS since,
                   coalesce(a.assigned_to, 'infinity') AS until
              FROM tracker_assignments a {}
            """
        ).format(conditions.where())
        return statement, conditions.values
