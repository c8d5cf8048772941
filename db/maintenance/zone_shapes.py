"""A step of the migration: geometries leave `zone_versions` for `zone_shapes`, with their shapes.

Each transaction takes some megabytes. What is cut short goes on with the next `opsc migrate`. The
step is done when `zone_versions` has no column `geometry` any more.
"""

from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import psycopg

from geofence.shapes.errors import ShapeError
from geofence.shapes.stored import CheckedGeometry, read_checked, write_wkb

NAME = "0059_zone_shapes.py"
_MOST_ROWS, _MOST_BYTES = 500, 8 * 1024 * 1024  # of a transaction
_TABLES = ("zone_versions", "zone_shapes")

_IS_DUE = """
SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('zone_shapes'))
   AND EXISTS (SELECT FROM pg_attribute
                WHERE attrelid = to_regclass('zone_versions') AND attname = 'geometry'
                  AND NOT attisdropped)
"""
_NEXT = """
SELECT org_id, zone_id, version, geometry::text, radius_m, width_m
  FROM (SELECT *, row_number() OVER ordered AS number,
               sum(pg_column_size(geometry)) OVER ordered AS bytes
          FROM (SELECT * FROM zone_versions
                 WHERE (org_id, zone_id, version) > (%s, %s, %s) AND geometry_sha256 IS NULL
                 ORDER BY org_id, zone_id, version LIMIT %s) AS few
        WINDOW ordered AS (ORDER BY org_id, zone_id, version)) AS found
 WHERE number = 1 OR bytes <= %s
 ORDER BY number
"""
_WRITE_SHAPE = """
INSERT INTO zone_shapes (org_id, geometry_sha256, geometry, shape)
VALUES (%(org_id)s, sha256(convert_to(%(text)s, 'UTF8')), %(text)s::json, %(wkb)s)
    ON CONFLICT DO NOTHING
"""
_MOVE = """
UPDATE zone_versions
   SET geometry = 'null', shape_bytes = %(bytes)s,
       geometry_sha256 = sha256(convert_to(%(text)s, 'UTF8'))
 WHERE org_id = %(org_id)s AND zone_id = %(zone_id)s AND version = %(version)s
"""
_END = """
ALTER TABLE zone_versions
    ALTER COLUMN geometry_sha256 SET NOT NULL,
    ALTER COLUMN shape_bytes SET NOT NULL,
    DROP COLUMN geometry
"""

_Sync: TypeAlias = psycopg.Connection[tuple[Any, ...]]


class MovedVersion(NamedTuple):
    """The key of a version of a zone."""

    org_id: UUID
    zone_id: UUID
    version: int


FIRST = MovedVersion(UUID(int=0), UUID(int=0), 0)


class BadStoredZone(ValueError):
    """A version of a zone whose geometry is no shape."""


def is_due(conn: _Sync) -> bool:
    """Return whether the schema is that of the step, and the step is not done."""
    row = conn.execute(_IS_DUE).fetchone()
    return row is not None and bool(row[0])


def move(conn: _Sync) -> None:
    """Do all that is left, as opsc_owner. Raises BadStoredZone."""
    after: MovedVersion | None = FIRST
    while after is not None:
        after = move_some(conn, after)
    with conn.transaction():
        conn.execute(_END)


def move_some(conn: _Sync, after: MovedVersion, most_rows: int = _MOST_ROWS) -> MovedVersion | None:
    """Move some versions in one transaction, and return the last one; None where none was left.

    Nothing is written into the audit trail: nobody changed them.
    """
    with conn.transaction():
        for table in _TABLES:  # the owner sees all organizations
            conn.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        conn.execute("ALTER TABLE zone_versions DISABLE TRIGGER audit")
        rows = conn.execute(_NEXT, (*after, most_rows, _MOST_BYTES)).fetchall()
        for *key, text, radius_m, width_m in rows:
            _move(conn, MovedVersion(*key), CheckedGeometry(text, radius_m, width_m))
        conn.execute("ALTER TABLE zone_versions ENABLE TRIGGER audit")
        for table in _TABLES:
            conn.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    return MovedVersion(*rows[-1][:3]) if rows else None


def _move(conn: _Sync, key: MovedVersion, geometry: CheckedGeometry) -> None:
    try:
        (shape,) = read_checked([geometry])
    except ShapeError as error:
        raise BadStoredZone(
            f"version {key.version} of zone {key.zone_id} of organization {key.org_id}"
            f" has a geometry that is no shape: {error}"
        ) from error
    wkb = write_wkb(shape)
    values = key._asdict() | {"text": geometry.text, "wkb": wkb, "bytes": len(wkb)}
    conn.execute(_WRITE_SHAPE, values)
    conn.execute(_MOVE, values)
