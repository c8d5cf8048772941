"""The erasure of an employee's positions, as it is asked for."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.punching import employee
from tests.api.resources.jobs.doing import doing_jobs, ended, made
from tests.api.running import Organization, RunningApi

pytestmark = pytest.mark.own_api


def path(employee_id: str) -> str:
    return f"/v1/employees/{employee_id}/position-erasures"


async def test_an_admin_asks_and_a_job_waits(api: RunningApi, org: Organization) -> None:
    anna = await employee(org)
    answer = await org.admin.post(path(anna), {"from": "2026-01-31T12:00:00Z"})
    assert answer.status == 202, answer.json
    job = answer.json
    assert (job["kind"], job["state"], job["employee_id"]) == ("erase_positions", "waiting", anna)
    assert (job["done"], job["total"]) == (0, None)
    erased = dict(job["result"]["erased"])
    assert erased.pop("from") == "2026-01-31T12:00:00Z"
    until = datetime.fromisoformat(erased.pop("to"))
    assert datetime.now(UTC) - until < timedelta(minutes=1)
    counts = dict.fromkeys(("fixes", "archived_fixes", "messages", "objects"), 0)
    assert erased == {**counts, "read_back_at": None}
    assert (await org.viewer.get(f"/v1/jobs/{job['id']}")).json == job
    refused = await org.dispatcher.post(f"/v1/jobs/{job['id']}/cancel", None)
    assert refused.status == 403
    cancelled = await org.admin.post(f"/v1/jobs/{job['id']}/cancel", None)
    assert cancelled.json["state"] == "cancelled"


async def test_all_of_a_deleted_employee_is_erased_up_to_now(org: Organization) -> None:
    anna = await employee(org)
    await org.admin.delete(f"/v1/employees/{anna}")
    job = (await org.admin.post(path(anna), {})).json
    assert job["result"]["erased"]["from"] == "1970-01-01T00:00:00Z"
    await org.admin.post(f"/v1/jobs/{job['id']}/cancel", None)


@pytest.mark.parametrize("role", ["viewer", "technician", "dispatcher"])
async def test_nobody_else_asks(org: Organization, role: str) -> None:
    answer = await getattr(org, role).post(path(await employee(org)), {})
    assert (answer.status, answer.json["code"]) == (403, "forbidden")


async def test_an_employee_of_others_is_not_found(org: Organization, south: Organization) -> None:
    answer = await south.admin.post(path(await employee(org)), {})
    assert (answer.status, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"to": "2999-01-01T00:00:00Z"}, "/to"),
        ({"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "/from"),
        ({"from": "yesterday"}, "/from"),
        ({"until": None}, "/until"),
    ],
)
async def test_a_wrong_time_is_refused_with_its_place(
    org: Organization, body: dict[str, str], pointer: str
) -> None:
    answer = await org.admin.post(path(await employee(org)), body)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer)


async def test_an_erasure_keeps_no_import_waiting(api: RunningApi, org: Organization) -> None:
    erasure = (await org.admin.post(path(await employee(org)), {})).json
    async with doing_jobs(api.database):
        job_id = await made(org.dispatcher, "/v1/imports/assets", "external_id,name\nA,Truck\n")
        assert (await ended(org, job_id))["state"] == "done"
    assert (await org.viewer.get(f"/v1/jobs/{erasure['id']}")).json["state"] == "waiting"
    await org.admin.post(f"/v1/jobs/{erasure['id']}/cancel", None)
