"""Assets and trackers from CSV: dry runs, and jobs that write the good lines."""

import pytest

from tests.api.resources.jobs.doing import doing_jobs, ended, made, post_file
from tests.api.running import Organization, RunningApi

pytestmark = pytest.mark.own_api
ASSETS, TRACKERS = "/v1/imports/assets", "/v1/imports/trackers"


async def test_good_lines_are_written_and_the_file_again_doubles_nothing(
    api: RunningApi, org: Organization
) -> None:
    client = (await org.admin.post("/v1/clients", {"name": "Quarry"})).json["id"]
    lines = [f"A-{number},Truck {number},truck;tipper,2021,{client}" for number in range(250)]
    file = "\n".join(["external_id,name,tags,year,client_id", *lines]) + "\n"
    async with doing_jobs(api.database):
        first = await ended(org, await made(org.dispatcher, ASSETS, file))
        again = await ended(org, await made(org.dispatcher, ASSETS, file))
    assert (first["state"], first["done"], first["total"]) == ("done", 250, 250)
    assert first["result"] == {
        "written": 250,
        "known": 0,
        "conflicts": 0,
        "faulty": 0,
        "faults": [],
        "more_faults": False,
    }
    assert (again["result"]["written"], again["result"]["known"]) == (0, 250)
    assert (await org.viewer.get("/v1/assets")).json["total"] == 250
    (asset,) = (await org.viewer.get("/v1/assets", external_id="A-7")).json["data"]
    assert (asset["name"], asset["tags"], asset["year"]) == ("Truck 7", ["tipper", "truck"], 2021)
    assert asset["client_id"] == client


async def test_what_a_job_writes_is_noted_as_its_makers(api: RunningApi, org: Organization) -> None:
    async with doing_jobs(api.database):
        job = await ended(org, await made(org.dispatcher, ASSETS, "external_id,name\nX,Y\n"))
    (asset,) = (await org.viewer.get("/v1/assets")).json["data"]
    changes = (await org.admin.get("/v1/audit-events", resource_id=asset["id"])).json["data"]
    assert {change["user_id"] for change in changes} == {job["created_by"]}


async def test_a_dry_run_lists_every_fault_and_writes_nothing(
    api: RunningApi, org: Organization, south: Organization
) -> None:
    known = await org.admin.post("/v1/assets", {"name": "Known", "external_id": "A-1"})
    assert known.status == 201
    client = (await org.admin.post("/v1/clients", {"name": "Quarry"})).json["id"]
    foreign = (await south.admin.post("/v1/clients", {"name": "Theirs"})).json["id"]
    file = "\n".join(
        [
            "external_id,name,year,client_id,odometer_at",
            "A-1,Known,,,",
            f"A-2,Good,2021,{client},",
            "A-3,,20x1,,",
            f"A-4,Foreign,,{foreign},",
            "A-2,Twice,,,",
            ",Nameless,,,",
            "A-7,Short",
            "A-8,Metered,,,2026-01-01T00:00:00Z",
        ]
    )
    answer = await post_file(org.dispatcher, f"{ASSETS}?dry_run=true", file)
    assert answer.status == 200, answer.json
    check = answer.json
    assert (check["good"], check["known"], check["faulty"]) == (1, 1, 6)
    faults = [(fault["line"], fault.get("column")) for fault in check["faults"]]
    assert faults == [
        (4, "name"),
        (4, "year"),
        (5, "client_id"),
        (6, "external_id"),
        (7, "external_id"),
        (8, None),
        (9, "odometer_at"),
    ]
    assert (await org.viewer.get("/v1/assets")).json["total"] == 1
    assert (await org.viewer.get("/v1/jobs")).json["total"] == 0
    async with doing_jobs(api.database):
        job = await ended(org, await made(org.dispatcher, ASSETS, file))
    result = job["result"]
    assert (result["written"], result["known"], result["faulty"]) == (1, 1, 6)
    assert {(fault["line"], fault.get("column")) for fault in result["faults"]} == set(faults)


async def test_trackers_come_with_their_assets_and_with_secrets_that_nobody_knows(
    api: RunningApi, org: Organization
) -> None:
    assets = [
        (await org.admin.post("/v1/assets", {"name": name})).json["id"] for name in ("One", "Two")
    ]
    file = "\n".join(
        [
            "external_id,name,receipts,asset_id,assigned_from",
            f"356938035643809,First,true,{assets[0]},",
            f"356938035643810,Second,false,{assets[0]},",
            f"356938035643811,Third,,{assets[1]},2100-01-01T00:00:00Z",
            "356938035643812,Fourth,maybe,,",
            "356938035643813,,,,",
        ]
    )
    async with doing_jobs(api.database):
        job = await ended(org, await made(org.dispatcher, TRACKERS, file))
    assert (job["result"]["written"], job["result"]["faulty"]) == (2, 3)
    faults = {(fault["line"], fault["column"]) for fault in job["result"]["faults"]}
    assert faults == {(3, "asset_id"), (4, "assigned_from"), (5, "receipts")}
    (first,) = (await org.viewer.get("/v1/trackers", external_id="356938035643809")).json["data"]
    assert (first["asset_id"], first["receipts"]) == (assets[0], True)
    assert "secret" not in str(job["result"])
    rotated = await org.dispatcher.post(f"/v1/trackers/{first['id']}/rotate", None)
    assert rotated.json["secret"]


async def test_lines_beyond_the_quota_are_faults(api: RunningApi, org: Organization) -> None:
    api.sql("INSERT INTO organization_quotas VALUES (%s, 'assets', 120)", org.org_id)
    lines = [f"A-{number},Truck {number}" for number in range(150)]
    file = "\n".join(["external_id,name", *lines])
    async with doing_jobs(api.database):
        job = await ended(org, await made(org.dispatcher, ASSETS, file))
    assert (job["state"], job["result"]["written"], job["result"]["faulty"]) == ("done", 120, 30)
    assert job["result"]["faults"][0] == {"line": 122, "message": "There is room for 120 assets."}


async def test_a_cell_may_have_what_other_programs_take_for_the_end_of_a_line(
    org: Organization,
) -> None:
    file = 'external_id,make\nA-1,"a\x0cb"\nA-2,\u2028\n"A\n3",x\n'
    answer = await post_file(org.dispatcher, f"{ASSETS}?dry_run=true", file)
    assert [(fault["line"], fault["column"]) for fault in answer.json["faults"]] == [
        (2, "name"),
        (2, "make"),
        (3, "name"),
        (4, "name"),
        (4, "external_id"),
    ]


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        ("external_id,name\nA,B\n", "application/json", 415, "content_type_refused"),
        ("", "text/csv", 422, "invalid_body"),
        ("external_id;name\nA;B\n", "text/csv", 422, "invalid_csv"),
        ("external_id,nam\nA,B\n", "text/csv", 422, "invalid_csv"),
        ("name\nB\n", "text/csv", 422, "invalid_csv"),
        ("external_id,name,name\nA,B,C\n", "text/csv", 422, "invalid_csv"),
        ('external_id,name\nA,"B\n', "text/csv", 422, "invalid_csv"),
        (b"external_id,name\nA,\xff\n", "text/csv", 422, "invalid_csv"),
        ("external_id,name\n" + "A,B\n" * 10_001, "text/csv", 422, "invalid_csv"),
        ("external_id,name\n" + "A" * 2 * 1024 * 1024, "text/csv", 413, "body_too_large"),
    ],
)
async def test_what_is_no_import_is_refused_as_a_whole(
    org: Organization, content: str | bytes, content_type: str, status: int, code: str
) -> None:
    answer = await post_file(org.dispatcher, ASSETS, content, content_type)
    assert (answer.status, answer.json["code"]) == (status, code)


async def test_technicians_and_keys_without_the_scope_import_nothing(org: Organization) -> None:
    file = "external_id,name\nA,B\n"
    assert (await post_file(org.technician, ASSETS, file)).status == 403
    key = {"name": "Import", "scopes": ["imports:write", "jobs:read"]}
    made_key = (await org.admin.post("/v1/api-keys", key)).json
    org.viewer.token, token = made_key["secret"], org.viewer.token
    refused = await post_file(org.viewer, ASSETS, file)
    org.viewer.token = token
    assert (refused.status, refused.json["code"]) == (403, "scope_missing")


async def test_a_file_with_a_key_is_one_job(org: Organization) -> None:
    file, key = "external_id,name\nA,B\n", {"Idempotency-Key": "first"}
    first = await post_file(org.dispatcher, ASSETS, file, **key)
    again = await post_file(org.dispatcher, ASSETS, file, **key)
    other = await post_file(org.dispatcher, ASSETS, file + "C,D\n", **key)
    assert (first.status, again.status, other.status) == (202, 202, 422)
    assert first.json == again.json
    assert (await org.viewer.get("/v1/jobs")).json["total"] == 1


async def test_of_two_lines_with_one_imei_the_first_claims_it(
    api: RunningApi, org: Organization, south: Organization
) -> None:
    theirs = {"name": "Theirs", "imei": "356307042441013"}
    assert (await south.admin.post("/v1/trackers", theirs)).status == 201
    imeis = ("490154203237518", "490154203237518", "356307042441013", "12345678901234")
    lines = [f"{name},{name},{imei}" for name, imei in zip("ABCD", imeis, strict=True)]
    file = "\n".join(["external_id,name,imei", *lines]) + "\n"
    async with doing_jobs(api.database):
        job = await ended(org, await made(org.dispatcher, TRACKERS, file))
    assert (job["result"]["written"], job["result"]["faulty"]) == (1, 3)
    faults = [(fault["line"], fault["column"]) for fault in job["result"]["faults"]]
    assert sorted(faults) == [(3, "imei"), (4, "imei"), (5, "imei")]
    stored = (await org.viewer.get("/v1/trackers")).json["data"]
    assert [(tracker["name"], tracker["imei"]) for tracker in stored] == [("A", "490154203237518")]
