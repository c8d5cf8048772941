"""The step of the migration that gives old versions of zones their shapes."""

import json
from typing import Any

import numpy as np
import psycopg
import pytest
import shapely

from db.core.ids import new_id
from db.maintenance import migrate, zone_shapes
from geofence.shapes.geojson import read_shape
from geofence.shapes.stored import StoredShape, read_stored
from geofence.shapes.types import Corridor, Polygonal
from tests.db.catalog import describe
from tests.geofence.shapes.test_stored import SHAPES
from tests.servers import DatabaseUnderTest


@pytest.fixture
def old(empty_database: DatabaseUnderTest) -> DatabaseUnderTest:
    """A database of before, in which each of two organizations has a zone of every shape, in two
    versions.
    """
    admin = empty_database.url("admin")
    migrate.bootstrap(admin)
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute("SET ROLE opsc_owner")
        conn.execute(migrate._LEDGER)
        for migration in migrate.migrations():
            if migration.version < 59:
                migrate._apply(conn, migration)
        conn.execute("RESET ROLE")
        for org_id in (new_id(), new_id()):
            conn.execute("INSERT INTO organizations (org_id, name) VALUES (%s, 'x')", (org_id,))
            for shape in SHAPES:
                _add_zone(conn, org_id, *shape)
    return empty_database


def _add_zone(conn: Any, org_id: Any, geometry: Any, radius_m: Any, width_m: Any) -> None:
    zone_id = new_id()
    conn.execute("INSERT INTO zones (org_id, id, version) VALUES (%s, %s, 2)", (org_id, zone_id))
    for version, ended in ((1, "now()"), (2, "NULL")):
        conn.execute(
            "INSERT INTO zone_versions (org_id, zone_id, version, name, kind, geometry, radius_m,"
            " width_m, valid_from, valid_to, revision)"
            f" VALUES (%s, %s, %s, 'x', 'yard', %s, %s, %s, now(), {ended}, 7)",
            (org_id, zone_id, version, json.dumps(geometry), radius_m, width_m),
        )


def _read(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(
            "SELECT geometry::text, shape, radius_m, width_m, revision, shape_bytes, made_revision"
            "  FROM zone_versions JOIN zone_shapes USING (org_id, geometry_sha256)"
        ).fetchall()


def _assert_complete(database: DatabaseUnderTest) -> None:
    rows = _read(database.url("admin"))
    assert len(rows) == 4 * len(SHAPES)
    for text, wkb, radius_m, width_m, revision, shape_bytes, made in rows:
        shape = read_shape(json.loads(text), radius_m=radius_m, width_m=width_m)
        (stored,) = read_stored([StoredShape(wkb, radius_m, width_m)])
        if isinstance(shape, Polygonal) and isinstance(stored, Polygonal):
            assert shapely.equals_identical(shape.geometry, stored.geometry)
        elif isinstance(shape, Corridor) and isinstance(stored, Corridor):
            assert np.array_equal(shape.vertices, stored.vertices)
        else:
            assert shape == stored
        assert (revision, shape_bytes, made) == (7, len(wkb), None)


@pytest.mark.parametrize("role", ["admin", "opsc_owner"])
def test_every_version_gets_the_shape_of_its_geometry(old: DatabaseUnderTest, role: str) -> None:
    with psycopg.connect(old.url("admin")) as conn:
        audited = conn.execute("SELECT count(*) FROM audit_events").fetchone()
    assert "0059_zone_shapes.sql" in migrate.migrate(old.url(role))
    _assert_complete(old)
    with psycopg.connect(old.url("admin")) as conn:
        assert conn.execute("SELECT count(*) FROM audit_events").fetchone() == audited
        texts = conn.execute("SELECT DISTINCT geometry::text FROM zone_shapes").fetchall()
        assert {text for (text,) in texts} == {json.dumps(geometry) for geometry, _, _ in SHAPES}


def test_a_step_that_was_cut_short_goes_on(
    old: DatabaseUnderTest, database: DatabaseUnderTest
) -> None:
    admin = old.url("admin")
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute("SET ROLE opsc_owner")
        for migration in migrate.migrations():
            if migration.version == 59:
                migrate._apply(conn, migration)
        after = zone_shapes.move_some(conn, zone_shapes.FIRST, most_rows=3)
        assert after is not None
        zone_shapes.move_some(conn, after, most_rows=2)
        moved = conn.execute("RESET ROLE").connection.execute(
            "SELECT count(geometry_sha256) FROM zone_versions"
        )
        assert moved.fetchone() == (5,)
    assert migrate.pending(admin)[0] == "0059_zone_shapes.py"
    assert migrate.migrate(admin)[0] == "0059_zone_shapes.py"
    _assert_complete(old)
    assert migrate.pending(admin) == migrate.migrate(admin) == []
    assert describe(admin) == describe(database.url("admin"))


def test_a_geometry_that_is_no_shape_is_named(old: DatabaseUnderTest) -> None:
    with psycopg.connect(old.url("admin")) as conn:
        conn.execute("UPDATE zone_versions SET geometry = '{}' WHERE version = 2")
    with pytest.raises(migrate.MigrationError, match=r"version 2 of zone .* type must be Polygon"):
        migrate.migrate(old.url("admin"))
