"""The archive of an organization, as its admins see it."""

from tests.api.running import Organization, RunningApi

PATH = "/v1/organization/archive"


async def test_admins_see_what_is_archived_and_what_failed(
    api: RunningApi, org: Organization, south: Organization
) -> None:
    numbers = ("days", "fixes", "bytes", "failed_days")
    days = ("first_day", "last_day", "live_from", "archived_at", "failed_day", "failed_at")
    nothing = dict.fromkeys(numbers, 0) | dict.fromkeys(days)
    assert (await org.admin.get(PATH)).json == nothing
    for day, rows in (("2026-02-27", 5), ("2026-02-28", 7)):
        api.sql(
            "INSERT INTO archived_days VALUES (%s, %s, gen_random_uuid(), %s, 100, sha256('x'),"
            " sha256('x'), '2026-06-01Z')",
            org.org_id,
            day,
            rows,
        )
    api.sql("INSERT INTO archive_failures VALUES (%s, 2, '2026-03-02', '2026-06-02Z')", org.org_id)
    assert (await org.admin.get(PATH)).json == {
        "days": 2,
        "fixes": 12,
        "bytes": 200,
        "first_day": "2026-02-27",
        "last_day": "2026-02-28",
        "live_from": "2026-03-01",
        "archived_at": "2026-06-01T00:00:00Z",
        "failed_days": 2,
        "failed_day": "2026-03-02",
        "failed_at": "2026-06-02T00:00:00Z",
    }
    assert (await south.admin.get(PATH)).json == nothing
    for client in (org.dispatcher, org.technician, org.viewer):
        assert (await client.get(PATH)).status == 403
