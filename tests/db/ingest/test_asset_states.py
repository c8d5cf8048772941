"""What ingest keeps of assets, as bytes that nobody else reads."""

import psycopg
import pytest

from db.core.ids import new_id
from db.ingest import asset_states
from db.ingest.asset_states import AssetKey, AssetState
from tests.db.rows import transaction
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest


async def some_states(database: DatabaseUnderTest, count: int) -> list[AssetState]:
    """Return states of new assets of a new organization, not stored."""
    org_id = (await Tenant.create(database)).org_id
    return [AssetState(org_id, new_id(), bytes([number, 0, 255])) for number in range(count)]


async def stored(database: DatabaseUnderTest) -> set[AssetState]:
    async with transaction(database, "opsc_ingest") as conn:
        return set(await asset_states.all(conn))


async def test_states_are_read_back_as_they_were_last_stored(database: DatabaseUnderTest) -> None:
    states = await some_states(database, 3)
    again = [states[0]._replace(state=b"other"), states[1]]
    async with transaction(database, "opsc_ingest") as conn:
        await asset_states.store(conn, states)
        await asset_states.store(conn, again)
        await asset_states.store(conn, [])
    found = {each for each in await stored(database) if each.org_id == states[0].org_id}
    assert found == {*again, states[2]}


async def test_the_same_asset_id_in_two_organizations_is_two_rows(
    database: DatabaseUnderTest,
) -> None:
    (one,), (other,) = await some_states(database, 1), await some_states(database, 1)
    other = other._replace(asset_id=one.asset_id, state=b"other")
    async with transaction(database, "opsc_ingest") as conn:
        await asset_states.store(conn, [one, other])
        await asset_states.forget(conn, [AssetKey(one.org_id, one.asset_id)])
    found = await stored(database)
    assert other in found
    assert one not in found


async def test_forgetting_removes_what_there_is_of_those_assets_alone(
    database: DatabaseUnderTest,
) -> None:
    states = await some_states(database, 3)
    keys = [AssetKey(each.org_id, each.asset_id) for each in states[:2]]
    async with transaction(database, "opsc_ingest") as conn:
        await asset_states.store(conn, states[1:])
        await asset_states.forget(conn, keys)
        await asset_states.forget(conn, [])
    assert states[2] in await stored(database)
    assert not set(states[:2]) & await stored(database)


@pytest.mark.parametrize("role", ["opsc_app", "opsc_deliver"])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM asset_state",
        "DELETE FROM asset_state",
        "UPDATE asset_state SET state = ''",
        "INSERT INTO asset_state SELECT org_id, org_id, '' FROM organizations",
    ],
)
async def test_no_other_role_has_any_right_to_them(
    database: DatabaseUnderTest, role: str, statement: str
) -> None:
    (state,) = await some_states(database, 1)
    async with transaction(database, role, state.org_id) as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with conn.transaction():
                await conn.execute(statement.encode())
