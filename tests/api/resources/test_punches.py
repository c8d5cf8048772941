"""Punches, through HTTP: as they are judged, entered, listed and reviewed."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db.core.ids import new_id
from telemetry.ids import format_id, parse_id
from telemetry.times import parse_time_us
from tests.api.punching import (
    Worker,
    by_hand,
    employee,
    jobsite,
    punch_events,
    rules,
    user_of,
    worker,
)
from tests.api.running import Organization, RunningApi
from tests.api.stored import store_fixes
from tests.ingest.punches.punching import AWAY, HOME
from tests.ingest.tenants import square

ZURICH = (8.54, 47.37)


@pytest.fixture
async def org(api: RunningApi) -> Organization:
    """An organization of one test's own, with a jobsite at HOME."""
    made = api.organization("Quarries")
    await jobsite(made)
    return made


@pytest.fixture
async def anna(api: RunningApi, org: Organization) -> Worker:
    """The technician, who punches by phone."""
    return await worker(api, org)


# Verdicts -----------------------------------------------------------------------------------------


async def test_a_second_in_and_breaks_are_stored_and_breaks_have_no_event(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    kinds = ["in", "in", "break_start", "break_end", "out"]
    sent = [await anna.punch(kind, ago_s=50 - number) for number, kind in enumerate(kinds)]
    assert [punch["kind"] for punch in sent] == kinds
    assert {punch["verdict"] for punch in sent} == {"verified"}
    told = [event_type.rpartition("_")[2] for event_type, _ in punch_events(api, org)]
    assert told == ["in", "in", "out"]


async def test_of_two_sites_the_best_counts_and_only_those_of_the_employee(
    api: RunningApi, org: Organization
) -> None:
    near = await jobsite(org, (13.405, 52.5), name="Near", punch_tolerance_m=500)
    yard = await jobsite(org, AWAY, name="Yard", kind="yard")
    sites = [
        (await org.admin.post("/v1/sites", {"name": "S", "zone_id": zone["id"]})).json["id"]
        for zone in (near, yard)
    ]
    bound = {"by": ["phone"], "site_ids": [sites[1]]}
    both = bound | {"site_ids": sites}
    anna = await worker(api, org, punch_rights=bound)
    between = (13.4035, 52.5)  # 33 m outside of Near, farther from the others
    found: list[tuple[str, str, str]] = []
    for ago_s, place in ((60, AWAY), (30, between)):
        punch = await anna.punch(ago_s=ago_s, place=place)
        found.append((punch["zone_id"], punch["site_id"], punch["verdict"]))
    await org.admin.patch(f"/v1/employees/{anna.id}", {"punch_rights": both})
    punch = await anna.punch(place=between)
    found.append((punch["zone_id"], punch["site_id"], punch["verdict"]))
    assert found == [
        (yard["id"], sites[1], "verified"),
        (yard["id"], sites[1], "failed"),
        (near["id"], sites[0], "verified"),
    ]


async def test_a_site_that_is_edited_meanwhile_counts_as_it_was_at_the_time_of_the_fix(
    api: RunningApi,
) -> None:
    org = api.organization("Moved")
    zone, anna = await jobsite(org), await worker(api, org)
    before = anna.claim(ago_s=5)
    moved = await org.admin.patch(f"/v1/zones/{zone['id']}", {"geometry": square(*AWAY)})
    assert moved.status == 200
    after = anna.claim("out", ago_s=0)
    first, second = await anna.send(before), await anna.send(after)
    assert (first["verdict"], first["zone_version"]) == ("verified", 1)
    assert (second["verdict"], second["zone_version"]) == ("failed", 2)
    assert (await org.dispatcher.get(f"/v1/punches/{first['id']}")).json == first


async def test_a_leap_from_a_fix_of_the_employees_tracker_is_seen(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    tracker = (await org.admin.post("/v1/trackers", {"employee_id": anna.id})).json
    at = datetime.now(UTC) - timedelta(seconds=60)
    store_fixes(api, org, tracker["id"], [at], lon=ZURICH[0], lat=ZURICH[1], accuracy_m=5)
    punch = await anna.punch()
    assert (punch["verdict"], rules(punch)) == ("failed", ["inside", "teleport"])


async def test_who_may_not_punch_by_phone_has_a_punch_that_failed(
    api: RunningApi, org: Organization
) -> None:
    anna = await worker(api, org, punch_rights={"by": ["tracker", "terminal"]})
    punch = await anna.punch()
    assert (punch["verdict"], rules(punch)) == ("failed", ["inside", "wrong_device"])


async def test_the_numbers_of_the_rules_are_those_of_the_organization(
    org: Organization, anna: Worker
) -> None:
    stale = {"fix_ago_s": 400}
    assert rules(await anna.punch(**stale)) == ["inside", "stale"]
    await org.admin.patch("/v1/organization", {"punch_rules": {"max_fix_age_s": 600}})
    assert (await anna.punch("out", **stale))["verdict"] == "verified"
    late = {"ago_s": 200, "fix_ago_s": 1}
    assert "clock" in rules(await anna.punch(**late))
    await org.admin.patch("/v1/organization", {"punch_rules": {"max_clock_error_s": 300}})
    punch = await anna.punch("out", **late)
    assert (punch["verdict"], punch["pay_time_source"]) == ("verified", "claimed")
    await org.admin.patch("/v1/organization", {"punch_rules": {"max_fix_age_s": 20}})
    reason = (await anna.punch(ago_s=30, fix_ago_s=30))["reasons"][1]
    assert (reason["rule"], reason["figures"]["limit_s"]) == ("stale", 20)


async def test_a_position_that_cannot_be_sure_is_kept_as_it_was_sent(anna: Worker) -> None:
    punch = await anna.punch(accuracy_m=-1)
    assert (punch["accuracy_m"], rules(punch)) == (None, ["no_accuracy"])
    assert (punch["lon"], punch["lat"]) == HOME


# By hand ------------------------------------------------------------------------------------------


async def test_a_dispatcher_enters_a_punch_by_hand_and_says_why(
    api: RunningApi, org: Organization
) -> None:
    bob = await employee(org, punch_rights={"by": []})
    answer = await by_hand(org, bob, ago_s=2 * 86_400, note="told by phone")
    punch = answer.json
    assert punch["entered_by"] == user_of(api, org, "dispatcher")
    assert (punch["reason"], punch["note"]) == ("forgotten", "told by phone")
    assert (punch["verdict"], rules(punch)) == ("unverified", ["no_fix", "offline"])
    assert (punch["pay_time"], punch["pay_time_source"]) == (punch["time"], "entered")
    ((_, data),) = punch_events(api, org)
    assert data["entered_by"] == punch["entered_by"]


async def test_an_entry_by_hand_is_in_the_audit_and_no_other_punch(
    org: Organization, anna: Worker
) -> None:
    assert (await anna.client.post("/v1/punches", anna.claim(kind="in", ago_s=600))).status == 201
    entered = await by_hand(org, anna.id, kind="out")
    again = await by_hand(org, anna.id, kind="out", time=entered.json["time"])
    assert again.json["id"] == entered.json["id"]
    (event,) = (await org.admin.get("/v1/audit-events", resource_type="punch")).json["data"]
    assert (event["action"], event["resource_id"]) == ("insert", entered.json["id"])
    assert event["user_id"] == entered.json["entered_by"]
    assert event["request_id"] == entered.headers["X-Request-Id"]
    new = {name: change["new"] for name, change in event["changes"].items()}
    assert new["entered_by"] == entered.json["entered_by"]
    assert (new["entry_reason"], new["kind"]) == ("forgotten", "out")
    assert new["employee_id"] == anna.id


async def test_somebody_elses_punch_needs_a_reason(org: Organization, anna: Worker) -> None:
    for reason in ({}, {"reason": None}):
        answer = await org.dispatcher.post("/v1/punches", anna.claim() | reason)
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/reason")
    answer = await anna.client.post("/v1/punches", anna.claim() | {"reason": "I was there"})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/reason")


async def test_a_dispatcher_punches_for_themselves_as_everybody_does(
    api: RunningApi, org: Organization
) -> None:
    own = await worker(api, org, "dispatcher")
    punch = await own.punch()
    assert (punch["verdict"], punch["entered_by"]) == ("verified", None)


async def test_an_employee_who_is_deleted_or_nobody_is_a_404(
    org: Organization, anna: Worker
) -> None:
    gone = await employee(org)
    await org.admin.delete(f"/v1/employees/{gone}")
    for employee_id in (gone, format_id("emp", new_id())):
        answer = await by_hand(org, employee_id)
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (404, "/employee_id")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"employee_id": None}, "/employee_id"),
        ({"kind": "lunch"}, "/kind"),
        ({"time": None}, "/time"),
        ({"time": "yesterday"}, "/time"),
        ({"time": 1_760_000_000_000}, "/time"),
        ({"time": "1999-12-31T23:59:59Z"}, "/time"),
        ({"fix_time": "2026-03-01T12:00:00"}, "/fix_time"),
        ({"lat": 91}, "/lat"),
        ({"lon": -181}, "/lon"),
        ({"lat": None}, "/lat"),
        ({"lon": None}, "/lon"),
        ({"accuracy_m": "8"}, "/accuracy_m"),
        ({"mock": "no"}, "/mock"),
        ({"note": "x" * 1_001}, "/note"),
        ({"note": " "}, "/note"),
        ({"verdict": "verified"}, "/verdict"),
    ],
)
async def test_what_cannot_be_is_a_422_that_points_at_it(
    org: Organization, anna: Worker, change: dict[str, Any], pointer: str
) -> None:
    answer = await anna.client.post("/v1/punches", anna.claim() | change)
    assert answer.status == 422
    (fault,) = answer.json["errors"]
    assert fault["pointer"] == pointer
    assert (await org.dispatcher.get("/v1/punches")).json["total"] == 0


# Repeats ------------------------------------------------------------------------------------------


async def test_a_punch_that_comes_again_is_the_stored_one_without_a_second_event(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    claim = anna.claim()
    first = await anna.send(claim)
    again = await asyncio.gather(*(anna.send(claim | {"lat": 1.0}) for _ in range(4)))
    assert again == [first] * 4
    entered = await org.dispatcher.post("/v1/punches", claim | {"reason": "forgotten"})
    assert entered.json == first
    assert len(punch_events(api, org)) == 1
    assert (await org.dispatcher.get("/v1/punches")).json["total"] == 1


async def test_an_idempotency_key_answers_again(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    key, claim = {"Idempotency-Key": "p-1"}, anna.claim()
    answers = [
        await anna.client.send("POST", "/v1/punches", headers=key, json=claim) for _ in range(2)
    ]
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [None, "true"]
    assert answers[0].json == answers[1].json
    other = await anna.client.send("POST", "/v1/punches", headers=key, json=claim | {"kind": "out"})
    assert (other.status, other.json["code"]) == (422, "idempotency_mismatch")
    assert len(punch_events(api, org)) == 1


async def test_many_who_punch_at_once_have_one_punch_each(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    claims = [anna.claim(ago_s=number + 1) for number in range(8)]
    await asyncio.gather(*(anna.send(claim) for claim in claims * 2))
    assert (
        (await org.dispatcher.get("/v1/punches")).json["total"] == len(punch_events(api, org)) == 8
    )


async def test_more_than_the_bound_of_a_day_is_a_429_until_the_next_one(
    org: Organization, anna: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("use_cases.punches.record.MAX_PUNCHES_PER_DAY", 2)
    claims = [anna.claim(ago_s=number + 1) for number in range(3)]
    for claim in claims[:2]:
        await anna.send(claim)
    refused = await anna.client.post("/v1/punches", claims[2])
    assert (refused.status, refused.json["code"]) == (429, "too_many_punches")
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    assert (await anna.client.post("/v1/punches", claims[0])).status == 201
    assert (await org.dispatcher.get("/v1/punches")).json["total"] == 2


# Lists --------------------------------------------------------------------------------------------


async def test_filters_go_together_and_pages_follow_each_other(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    site = (await org.admin.get("/v1/zones")).json["data"][0]["id"]
    site_id = (await org.admin.post("/v1/sites", {"name": "S", "zone_id": site})).json["id"]
    bob = await employee(org)
    here = [await anna.punch(ago_s=ago_s) for ago_s in (90, 60, 30)]
    away = await anna.punch("out", ago_s=20, place=AWAY)
    old = (await by_hand(org, bob, ago_s=86_400)).json
    await org.admin.post(f"/v1/punches/{old['id']}/review", {"decision": "accept"})
    third, second, first = (punch["id"] for punch in here)
    every = [away["id"], first, second, third, old["id"]]
    nobody = format_id("emp", new_id())
    cases: list[tuple[dict[str, str], list[str]]] = [
        ({}, every),
        ({"sort": "time"}, every[::-1]),
        ({"employee_id": anna.id}, every[:4]),
        ({"employee_id": bob, "verdict": "verified"}, []),
        ({"verdict": "failed"}, [away["id"]]),
        ({"verdict": "verified", "from_": here[1]["time"]}, [first, second]),
        ({"from_": here[0]["time"], "to": here[2]["time"]}, [second, third]),
        ({"reviewed": "true"}, [old["id"]]),
        ({"reviewed": "false", "to": here[1]["time"]}, [third]),
        ({"site_id": site_id}, every[:4]),
        ({"site_id": site_id, "verdict": "unverified"}, []),
    ]
    for filters, ids in cases:
        listed = (await org.dispatcher.get("/v1/punches", **filters)).json
        assert [row["id"] for row in listed["data"]] == ids, filters
        assert (listed["total"], listed["total_is_estimate"]) == (len(ids), False), filters
        walked = await org.dispatcher.walk("/v1/punches", limit=2, **filters)
        assert [row["id"] for row in walked] == ids, filters
    offset = await org.dispatcher.get("/v1/punches", limit=2, offset=1, fields="id")
    assert offset.json["data"] == [{"id": first}, {"id": second}]
    assert (await org.dispatcher.get("/v1/punches", employee_id=nobody)).status == 404


async def test_a_walk_shows_each_punch_once_while_others_come(
    org: Organization, anna: Worker
) -> None:
    sent = [await anna.punch(ago_s=ago_s) for ago_s in (90, 60, 30)]
    page = (await org.dispatcher.get("/v1/punches", limit=1)).json
    await anna.punch("out", ago_s=1)
    rest = (await org.dispatcher.get("/v1/punches", limit=9, cursor=page["next_cursor"])).json
    shown = [row["id"] for row in page["data"] + rest["data"]]
    assert shown == [punch["id"] for punch in sent[::-1]]
    assert (rest["total"], rest["next_cursor"]) == (3, None)


@pytest.mark.parametrize(
    "filters",
    [
        {"verdict": "good"},
        {"reviewed": "maybe"},
        {"from_": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"kind": "in"},
        {"sort": "-created_at"},
    ],
)
async def test_a_filter_with_a_value_that_cannot_be_is_a_400(
    north: Organization, filters: dict[str, str]
) -> None:
    assert (await north.viewer.get("/v1/punches", **filters)).status == 400


# Reviews ------------------------------------------------------------------------------------------


async def test_a_review_says_who_when_and_why_and_may_be_changed(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    punch = await anna.punch(place=AWAY)
    path = f"/v1/punches/{punch['id']}/review"
    seen = await org.dispatcher.post(path, {"decision": "accept", "note": "sent to the yard"})
    assert seen.status == 200
    assert seen.json == punch | {
        "revision": 2,
        "review": "accepted",
        "review_note": "sent to the yard",
        "reviewed_by": user_of(api, org, "dispatcher"),
        "reviewed_at": seen.json["reviewed_at"],
    }
    assert parse_time_us(seen.json["reviewed_at"]) > parse_time_us(punch["received_at"])
    changed = (await org.admin.post(path, {"decision": "reject"})).json
    assert (changed["review"], changed["review_note"]) == ("rejected", None)
    assert (changed["reviewed_by"], changed["revision"]) == (user_of(api, org, "admin"), 3)
    assert changed["verdict"] == "failed"
    listed = await org.admin.get("/v1/audit-events", resource_type="punch", resource_id=punch["id"])
    told = [(row["user_id"], row["changes"]["review"]) for row in listed.json["data"]]
    assert told == [
        (changed["reviewed_by"], {"old": "accepted", "new": "rejected"}),
        (seen.json["reviewed_by"], {"old": None, "new": "accepted"}),
    ]
    assert len(punch_events(api, org)) == 1


async def test_a_rejected_punch_bounds_no_time_of_the_next(org: Organization, anna: Worker) -> None:
    """What is proposed of a disputed time is not before the punch before, unless it is rejected."""
    wrong = await anna.punch(ago_s=1)
    blind = {"lat": None, "lon": None, "fix_time": None}
    bounded = await anna.punch("out", ago_s=3600, **blind)
    assert bounded["pay_time"] == wrong["pay_time"]
    for punch in (wrong, bounded):
        path = f"/v1/punches/{punch['id']}/review"
        assert (await org.admin.post(path, {"decision": "reject"})).status == 200
    free = await anna.punch("out", ago_s=3601, **blind)
    assert free["pay_time"] == free["time"]


async def test_a_review_is_of_what_was_seen(org: Organization, anna: Worker) -> None:
    punch = await anna.punch()
    path = f"/v1/punches/{punch['id']}"
    tag = (await org.dispatcher.get(path)).headers["ETag"]
    for status in (200, 412):
        answer = await org.dispatcher.send(
            "POST", f"{path}/review", headers={"If-Match": tag}, json={"decision": "accept"}
        )
        assert answer.status == status


async def test_two_who_review_at_once_take_turns(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    punch = await anna.punch()
    path = f"/v1/punches/{punch['id']}/review"
    answers = await asyncio.gather(
        *(org.admin.post(path, {"decision": "accept", "note": str(n)}) for n in range(6))
    )
    assert sorted(answer.json["revision"] for answer in answers) == [2, 3, 4, 5, 6, 7]
    stored = api.sql("SELECT revision FROM punches WHERE id = %s", parse_id("pun", punch["id"]))
    assert stored == [(7,)]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/decision"),
        ({"decision": "accepted"}, "/decision"),
        ({"decision": "accept", "note": ""}, "/note"),
        ({"decision": "accept", "verdict": "verified"}, "/verdict"),
    ],
)
async def test_what_is_no_review_is_a_422(
    org: Organization, anna: Worker, body: dict[str, Any], pointer: str
) -> None:
    punch = await anna.punch()
    answer = await org.admin.post(f"/v1/punches/{punch['id']}/review", body)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer)
    nobody = format_id("pun", new_id())
    answer = await org.admin.post(f"/v1/punches/{nobody}/review", {"decision": "accept"})
    assert answer.status == 404
