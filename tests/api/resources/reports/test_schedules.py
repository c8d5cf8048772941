"""Schedules of reports by mail: what they may be, who may change them, and the letters."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from api.app import RESOURCES
from api.resources.report_schedules import QUERIES
from db.core.connect import pool
from telemetry.ids import parse_id
from tests.api.mailbox import Mailbox
from tests.api.running import Answer, Client, Organization, RunningApi
from tests.webhooks.poison.guards import guard_of
from webhooks.scheduled_reports import ScheduledReports

pytestmark = pytest.mark.own_api

SCHEDULES = "/v1/report-schedules"
NAMES = ("admin", "dispatcher", "technician", "viewer")


@pytest_asyncio.fixture
async def reports(api: RunningApi) -> AsyncIterator[ScheduledReports]:
    """The loop, a look at a time."""
    async with pool(api.database.url("opsc_deliver"), "test", max_size=2) as connections:
        yield ScheduledReports(connections, guard_of(connections))


def let_a_year_pass(api: RunningApi, org: Organization) -> None:
    """Let all schedules be due, as if nothing had run since."""
    api.sql(
        "UPDATE report_schedule_runs SET next_run_at = now() - interval '400 days'"
        " WHERE org_id = %s",
        org.org_id,
    )


async def user_of(client: Client) -> str:
    return (await client.get("/v1/users/me")).json["id"]


async def schedule(client: Client, *recipients: Client, **fields: Any) -> Any:
    answer = await make(client, *recipients, **fields)
    assert answer.status == 201, answer.json
    return answer.json


async def make(client: Client, *recipients: Client, **fields: Any) -> Answer:
    ids = [await user_of(recipient) for recipient in recipients or (client,)]
    body = {"name": "Ways", "report": "distance", "cadence": "daily", "recipient_ids": ids}
    return await client.post(SCHEDULES, body | fields)


async def shown(client: Client, made: Any) -> Any:
    return (await client.get(f"{SCHEDULES}/{made['id']}")).json


def test_every_report_can_be_mailed() -> None:
    paths = {getattr(route, "path", "") for each in RESOURCES for route in each.router.routes}
    reports = {path.rpartition("/")[2] for path in paths if path.startswith("/v1/reports/")}
    assert {*QUERIES} == reports


async def test_a_new_schedule_runs_at_six_where_the_organization_is(org: Organization) -> None:
    assert (await org.admin.patch("/v1/organization", {"timezone": "Asia/Tokyo"})).status == 200
    made = await schedule(org.dispatcher)
    assert made["time_zone"] == "Asia/Tokyo"
    at = datetime.fromisoformat(made["next_run_at"])
    local = at.astimezone(ZoneInfo("Asia/Tokyo"))
    assert (local.hour, local.minute) == (6, 0)
    assert timedelta() < at - datetime.now(UTC) <= timedelta(days=1)
    off = await org.dispatcher.patch(f"{SCHEDULES}/{made['id']}", {"enabled": False})
    assert off.json["next_run_at"] is None
    on = await org.dispatcher.patch(f"{SCHEDULES}/{made['id']}", {"enabled": True})
    assert on.json["next_run_at"] == made["next_run_at"]
    assert on.json == await shown(org.viewer, made)
    assert (await org.dispatcher.delete(f"{SCHEDULES}/{made['id']}")).status == 204
    assert (await org.viewer.get(SCHEDULES)).json["total"] == 0


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"report": "week"}, "/report"),
        ({"local_time": "24:00"}, "/local_time"),
        ({"local_time": "6:00"}, "/local_time"),
        ({"time_zone": "Europe/Nowhere"}, "/time_zone"),
        ({"weekday": 0}, "/weekday"),
        ({"month_day": 32}, "/month_day"),
        ({"recipient_ids": []}, "/recipient_ids"),
        ({"recipient_ids": ["usr_" + "0" * 26] * 21}, "/recipient_ids"),
        ({"filters": {"asset_id": "A-7"}}, "/filters/asset_id"),
        ({"filters": {"asset_id": ["ast_01jd8x0k2m4n6p8q0r2s4t6v8w"]}}, "/filters/asset_id"),
        ({"filters": {"asset_id": "ast_01jd8x0k2m4n6p8q0r2s4t6v8w"}}, "/filters/asset_id"),
        ({"filters": {"tag": "A crane"}}, "/filters/tag/0"),
        ({"filters": {"group_by": "zone"}}, "/filters/group_by"),
        ({"filters": {"colour": "red"}}, "/filters/colour"),
        ({"filters": {"of": "employee", "tag": "crane"}}, "/filters/tag"),
        ({"filters": {"tag": ",".join(["t" * 50] * 20)}}, "/filters"),
        ({"report": "visits", "filters": {"of": "employee"}}, "/filters/of"),
        ({"report": "visits", "filters": {"group_by": "day"}}, "/filters/group_by"),
        ({"report": "presence", "filters": {"group_by": "thing"}}, "/filters/group_by"),
    ],
)
async def test_bad_schedules_are_refused_where_they_are_bad(
    north: Organization, fields: dict[str, Any], pointer: str
) -> None:
    answer = await make(north.admin, **fields)
    assert answer.status == 422, answer.json
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    made = await schedule(north.admin)
    answer = await north.admin.patch(f"{SCHEDULES}/{made['id']}", fields)
    assert answer.status == 422, answer.json
    assert (await north.admin.delete(f"{SCHEDULES}/{made['id']}")).status == 204


async def test_filters_stay_with_the_report_that_has_them(org: Organization) -> None:
    made = await schedule(org.admin, filters={"group_by": "client,week", "tag": "crane,rented"})
    assert made["filters"] == {"group_by": "client,week", "tag": "crane,rented"}
    path = f"{SCHEDULES}/{made['id']}"
    assert (await org.admin.patch(path, {"report": "visits"})).status == 422
    both = {"report": "visits", "filters": {"tag": "crane"}}
    assert (await org.admin.patch(path, both)).json["filters"] == {"tag": "crane"}


async def test_an_organization_has_fifty(api: RunningApi, org: Organization) -> None:
    first = await schedule(org.admin)
    for _ in range(49):
        await schedule(org.admin, name="Another")
    answer = await make(org.admin)
    assert (answer.status, answer.json["code"]) == (403, "quota_exceeded")
    assert (await org.admin.delete(f"{SCHEDULES}/{first['id']}")).status == 204
    await schedule(org.admin)  # what is deleted is gone


async def test_a_dispatcher_adds_and_removes_nobody_else(
    org: Organization, south: Organization
) -> None:
    for client in (org.viewer, org.technician):
        assert (await make(client)).status == 403
    assert (await make(org.dispatcher, org.viewer)).status == 403
    made = await schedule(org.admin, org.admin, org.viewer)
    path = f"{SCHEDULES}/{made['id']}"
    us = [await user_of(each) for each in (org.admin, org.viewer, org.dispatcher)]
    assert (await org.dispatcher.patch(path, {"recipient_ids": us[1:]})).status == 403
    assert (await org.dispatcher.patch(path, {"recipient_ids": us})).json["recipient_ids"] == us
    assert (await org.dispatcher.patch(path, {"recipient_ids": us[:2]})).status == 200
    assert (await org.dispatcher.patch(path, {"name": "Other"})).status == 200
    answer = await make(org.admin, south.viewer)
    assert answer.status == 422
    assert answer.json["errors"][0]["pointer"] == "/recipient_ids/0"
    assert (await south.admin.get(path)).status == 404


async def test_a_letter_has_a_link_to_the_page_of_its_report(
    api: RunningApi, org: Organization, reports: ScheduledReports, mailbox: Mailbox
) -> None:
    filters = {"group_by": "client,week", "tag": "crane,rented"}
    made = await schedule(
        org.admin,
        *(org.admin, org.viewer),
        name="Cranes",
        filters=filters,
        cadence="weekly",
        time_zone="Europe/Zurich",
    )
    assert (await org.viewer.patch("/v1/users/me", {"language": "de"})).status == 200
    let_a_year_pass(api, org)
    await reports.mail_due()
    letters = {letter["To"]: letter for letter in await mailbox.letters()}
    assert {*letters} == {"boss@example.com", "viewer@example.com"}
    after = await shown(org.admin, made)
    assert after["last_run_at"] is not None
    assert (after["left_out"], after["last_error"]) == ([], None)
    assert after["next_run_at"] == made["next_run_at"]
    text = letters["boss@example.com"].get_content()
    link = urlsplit(re.findall(r"https://\S+", text)[0])
    assert (link.netloc, link.path) == ("ops.example.com", "/app/reports")
    assert parse_qs(link.query) == {
        "report": ["distance"],
        "from": [after["period_from"]],
        "to": [after["period_to"]],
        "tz": ["Europe/Zurich"],
        "by": ["client,week"],
        "tag": ["crane,rented"],
    }
    german = letters["viewer@example.com"]
    assert german["Subject"].startswith("Cranes: ")
    assert "ist fertig" in german.get_content()


async def test_a_period_is_mailed_once_whatever_is_changed(
    api: RunningApi, org: Organization, reports: ScheduledReports, mailbox: Mailbox
) -> None:
    """Periods that ended while nothing ran are left out but for the newest."""
    made = await schedule(org.admin)
    for _ in range(3):
        let_a_year_pass(api, org)
        await reports.mail_due()
        await reports.mail_due()
        changes = {"local_time": "07:00"}, {"enabled": False}, {"enabled": True}
        for change in changes:
            path = f"{SCHEDULES}/{made['id']}"
            assert (await org.admin.patch(path, change)).status == 200
    assert len(await mailbox.letters()) == 1
    after = await shown(org.admin, made)
    assert datetime.fromisoformat(after["next_run_at"]) > datetime.now(UTC)


async def test_who_may_not_read_it_any_more_is_left_out(
    api: RunningApi, org: Organization, reports: ScheduledReports, mailbox: Mailbox
) -> None:
    everybody = [getattr(org, name) for name in NAMES]
    ids = {name: await user_of(getattr(org, name)) for name in NAMES}
    of_assets = await schedule(org.admin, *everybody)
    of_people = await schedule(org.admin, *everybody, name="P", filters={"of": "employee"})
    dispatcher = f"/v1/users/{ids['dispatcher']}"
    assert (await org.admin.patch(dispatcher, {"role": "viewer"})).status == 200
    technician = f"/v1/users/{ids['technician']}"
    assert (await org.admin.patch(technician, {"active": False})).status == 200
    let_a_year_pass(api, org)
    await reports.mail_due()
    left = {
        name: (await shown(org.admin, made))["left_out"]
        for name, made in (("assets", of_assets), ("people", of_people))
    }
    assert left["assets"] == [ids["technician"]]
    assert left["people"] == [ids[name] for name in ("dispatcher", "technician", "viewer")]
    sent = [(letter["To"], letter["Subject"][0]) for letter in await mailbox.letters()]
    assert sorted(sent) == [
        ("boss@example.com", "P"),
        ("boss@example.com", "W"),
        ("dispatcher@example.com", "W"),
        ("viewer@example.com", "W"),
    ]


async def test_rights_that_end_and_schedules_that_go_take_their_letters_away(
    api: RunningApi, org: Organization, reports: ScheduledReports, mailbox: Mailbox
) -> None:
    people = await schedule(org.admin, org.dispatcher, filters={"of": "employee"})
    gone = await schedule(org.admin)
    let_a_year_pass(api, org)
    await reports.mail_due()
    assert len(api.sql("SELECT FROM mail_outbox")) == 2
    role = {"role": "technician"}
    user_id = people["recipient_ids"][0]
    assert (await org.admin.patch(f"/v1/users/{user_id}", role)).status == 200
    assert (await org.admin.delete(f"{SCHEDULES}/{gone['id']}")).status == 204
    assert await mailbox.letters() == []
    assert api.sql("SELECT FROM mail_outbox") == []


async def test_letters_count_among_those_of_the_day(
    api: RunningApi, org: Organization, reports: ScheduledReports, mailbox: Mailbox
) -> None:
    api.sql("INSERT INTO organization_quotas VALUES (%s, 'letters_a_day', 2)", org.org_id)
    made = await schedule(org.admin, *(getattr(org, name) for name in NAMES))
    let_a_year_pass(api, org)
    await reports.mail_due()
    assert await mailbox.letters() == []
    after = await shown(org.admin, made)
    assert after["last_error"] == "letters_a_day: 0 of 2 are used, and 4 more are due"
    assert datetime.fromisoformat(after["next_run_at"]) > datetime.now(UTC)
    path = f"{SCHEDULES}/{made['id']}/send"
    statuses = [(await org.dispatcher.post(path, None)).status for _ in range(3)]
    assert statuses == [202, 202, 403]


async def test_one_is_sent_at_once_to_who_asks(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    made = await schedule(org.admin, enabled=False)
    path = f"{SCHEDULES}/{made['id']}/send"
    assert (await org.viewer.post(path, None)).status == 403
    assert (await org.dispatcher.post(path, None)).status == 202
    (letter,) = await mailbox.letters()
    assert letter["To"] == "dispatcher@example.com"
    api.sql(
        "UPDATE users SET password_hash = NULL WHERE id = %s",
        parse_id("usr", await user_of(org.dispatcher)),
    )
    answer = await org.dispatcher.post(path, None)
    assert (answer.status, answer.json["code"]) == (409, "no_letters")


async def test_runs_are_no_changes_by_anybody(
    api: RunningApi, org: Organization, reports: ScheduledReports
) -> None:
    made = await schedule(org.admin)
    let_a_year_pass(api, org)
    await reports.mail_due()
    assert (await shown(org.admin, made))["updated_at"] == made["updated_at"]
    events = await org.admin.walk("/v1/audit-events", resource_type="report_schedule")
    assert [(event["action"], event["resource_id"]) for event in events] == [("insert", made["id"])]
