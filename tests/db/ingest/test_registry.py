"""What ingest reads of zones, assets and tags, whole and by revision."""

from uuid import UUID

import pytest

from db.core.ids import new_id
from db.core.registry_revision import bump
from db.ingest.registry import (
    MAX_TIME_US,
    MIN_TIME_US,
    AssetFilter,
    AssetRow,
    AssetTagsRow,
    RegistryChanges,
    SettingsRow,
    changes_since,
)
from db.resources import assets, batches, organizations, trackers, zones
from db.resources.trackers import Tracker
from geofence.shapes.types import Circle, Corridor
from telemetry.times import to_datetime
from tests.db.rows import LONG_AGO, asset, keep_shape, transaction, zone
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest


@pytest.fixture
async def org_id(database: DatabaseUnderTest) -> UUID:
    """A new organization."""
    return (await Tenant.create(database)).org_id


async def changes(database: DatabaseUnderTest, revision: int) -> RegistryChanges:
    async with transaction(database, "opsc_ingest") as conn:
        return await changes_since(conn, revision)


async def assign(database: DatabaseUnderTest, org_id: UUID, asset_id: UUID) -> int:
    """Return a new tracker on the asset; gives the revision."""
    tracker = Tracker(new_id(), None, None, False, None, None, None, LONG_AGO, LONG_AGO)
    async with transaction(database, "opsc_app", org_id) as conn:
        revision, at = await bump(conn)
        await trackers.insert(conn, tracker, "secret", revision)
        await trackers.begin_assignment(
            conn, tracker_id=tracker.id, asset_id=asset_id, assigned_from=at, revision=revision
        )
    return revision


async def test_a_new_asset_is_read_with_its_class_and_its_tags_once_it_has_a_tracker(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    before = (await changes(database, -1)).revision
    plane, spare = asset(asset_class="aircraft", tags=["spare"]), asset()
    async with transaction(database, "opsc_app", org_id) as conn:
        await assets.insert(conn, plane)
        await batches.insert_assets(conn, [spare])
    unassigned = await changes(database, before)
    assert (unassigned.revision, unassigned.assets, unassigned.asset_tags) == (before, [], [])
    revision = await assign(database, org_id, plane.id)
    found = await changes(database, revision - 1)
    assert found.assets == [AssetRow(org_id, plane.id, "Truck", "aircraft")]
    assert found.asset_tags == [AssetTagsRow(plane.id, ["spare"], MIN_TIME_US, MAX_TIME_US)]
    revision = await assign(database, org_id, spare.id)
    found = await changes(database, revision - 1)
    assert found.assets == [AssetRow(org_id, spare.id, "Truck", "other")]
    assert (await changes(database, revision)).assets == []


async def test_at_start_assets_are_read_that_have_no_tracker(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    truck = asset(tags=["crane"])
    async with transaction(database, "opsc_app", org_id) as conn:
        await assets.insert(conn, truck)
    await assign(database, org_id, truck.id)
    found = await changes(database, -1)
    assert [row.asset_id for row in found.assets].count(truck.id) == 1
    assert [row.tags for row in found.asset_tags if row.asset_id == truck.id] == [["crane"]]


async def test_an_asset_that_was_renamed_before_it_had_a_tracker_is_read_with_its_first_tags(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    truck = asset(tags=["crane"])
    async with transaction(database, "opsc_app", org_id) as conn:
        await assets.insert(conn, truck)
    async with transaction(database, "opsc_app", org_id) as conn:
        renamed, _ = await bump(conn)
        await assets.update(conn, truck._replace(name="Lorry"), renamed)
    found = await changes(database, renamed - 1)
    assert (found.assets, found.asset_tags) == ([AssetRow(org_id, truck.id, "Lorry", "other")], [])
    await assign(database, org_id, truck.id)
    found = await changes(database, renamed)
    assert found.asset_tags == [AssetTagsRow(truck.id, ["crane"], MIN_TIME_US, MAX_TIME_US)]


async def test_a_change_of_tags_is_read_as_the_row_that_ends_and_the_one_that_begins(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    truck = asset(tags=["old"])
    async with transaction(database, "opsc_app", org_id) as conn:
        await assets.insert(conn, truck)
    async with transaction(database, "opsc_app", org_id) as conn:
        later, at = await bump(conn)
        await assets.change_tags(conn, truck.id, ["new", "x"], at, later)
    found = await changes(database, later - 1)
    assert found.assets == [AssetRow(org_id, truck.id, "Truck", "other")]
    old, new = found.asset_tags
    assert old == AssetTagsRow(truck.id, ["old"], MIN_TIME_US, new.valid_from_us)
    assert new == AssetTagsRow(truck.id, ["new", "x"], old.valid_to_us, MAX_TIME_US)
    assert to_datetime(new.valid_from_us) == at
    assert (await changes(database, later)).asset_tags == []


async def test_settings_are_read_by_the_revision_of_their_last_change(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    assert org_id not in {row.org_id for row in (await changes(database, -1)).settings}
    async with transaction(database, "opsc_app", org_id) as conn:
        revision, _ = await bump(conn)
        known = await organizations.find(conn)
        given = known._replace(
            rules={"exit_buffer_m": 15}, max_accuracy_m=80.0, max_speed_mps={"person": 60}
        )
        await organizations.update(conn, given, revision)
        await organizations.update(conn, given._replace(name="Other"), None)
    row = SettingsRow(org_id, {"exit_buffer_m": 15}, 80.0, {"person": 60})
    assert row in (await changes(database, -1)).settings
    assert (await changes(database, revision - 1)).settings == [row]
    assert (await changes(database, revision)).settings == []


async def test_a_zone_version_is_read_with_all_that_it_asks_for(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    chosen = asset()
    schedule = {"timezone": "UTC", "windows": [{"days": ["mon"], "from": "00:00", "to": "24:00"}]}
    asking = zone(
        geometry='{"type": "LineString", "coordinates": [[13.4, 52.5], [13.5, 52.5]]}',
        radius_m=None,
        width_m=40.0,
        rules={"dwell_seconds": 600.0, "exit_confirm_fixes": 3},
        schedule=schedule,
        assets={"ids": [str(chosen.id)], "tags": ["crane", "spare"]},
    )
    async with transaction(database, "opsc_app", org_id) as conn:
        revision, _ = await bump(conn)
        await assets.insert(conn, chosen)
        made = zone()
        await keep_shape(conn, made)
        await zones.insert(conn, made, revision)
        await keep_shape(conn, asking)
        await zones.insert(conn, asking, revision)
    rows = {row.zone_id: row for row in (await changes(database, revision - 1)).zone_versions}
    assert len(rows) == 2
    asked = rows.pop(asking.id)
    assert isinstance(asked.shape, Corridor)
    assert (asked.shape.width_m, asked.rules, asked.schedule) == (40.0, asking.rules, schedule)
    assert asked.assets == AssetFilter(frozenset({chosen.id}), frozenset({"crane", "spare"}))
    (plain,) = rows.values()
    assert isinstance(plain.shape, Circle)
    assert (plain.rules, plain.schedule, plain.assets) == ({}, None, None)
