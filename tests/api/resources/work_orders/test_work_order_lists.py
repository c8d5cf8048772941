"""Lists of work orders as a desk needs them, through HTTP: names, filters, orders and counts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.resources.work_orders.listing import status_count
from operations.work_orders.states import STATES
from tests.api.problems import is_problem
from tests.api.punching import employee
from tests.api.resources.dispatching import in_state, listed_ids, made_order, moved, say
from tests.api.running import Organization, RunningApi
from tests.api.stored import text

DAY = timedelta(days=1)
MONDAY = datetime(2027, 3, 1, tzinfo=UTC)


@pytest.fixture
def org(api: RunningApi) -> Organization:
    """The organization of one test."""
    return api.organization("Desk")


def day(number: int, hours: int = 0) -> str:
    return text(MONDAY + number * DAY + timedelta(hours=hours))


async def _named(org: Organization, path: str, name: str, **body: Any) -> str:
    answer = await org.admin.post(f"/v1/{path}", {"name": name} | body)
    assert answer.status == 201, answer.json
    return answer.json["id"]


# Names --------------------------------------------------------------------------------------------


async def test_names_stand_in_the_rows_of_a_list(org: Organization) -> None:
    client, site = await _named(org, "clients", "Frei AG"), await _named(org, "sites", "Quarry")
    people = [await _named(org, "employees", name) for name in ("Anna", "Ben")]
    machines = [await _named(org, "assets", name) for name in ("Crane", "Digger")]
    full = await made_order(
        org, client_id=client, site_id=site, assignee_ids=people[::-1], asset_ids=machines[::-1]
    )
    empty = await made_order(org)
    include = "client,site,assignees,assets"
    rows = (await org.viewer.get("/v1/work-orders", include=include)).json["data"]
    names = {
        "client_name": "Frei AG",
        "site_name": "Quarry",
        "assignee_names": ["Anna", "Ben"],
        "asset_names": ["Crane", "Digger"],
    }
    nothing = {"client_name": None, "site_name": None, "assignee_names": [], "asset_names": []}
    assert rows == [empty | nothing, full | names]
    one = await org.technician.get(f"/v1/work-orders/{full['id']}", include=include)
    assert one.json == full | names
    some = await org.viewer.get("/v1/work-orders", include="client", fields="id,client_name")
    assert some.json["data"][1] == {"id": full["id"], "client_name": "Frei AG"}
    plain = (await org.viewer.get("/v1/work-orders")).json["data"]
    assert not {*names} & {*plain[0], *plain[1]}


async def test_names_are_shown_beside_costs_and_of_what_is_deleted(org: Organization) -> None:
    client = await _named(org, "clients", "Frei AG")
    order = await moved(org, await made_order(org, client_id=client), "cancel")
    assert (await org.admin.delete(f"/v1/clients/{client}")).status == 204
    path = f"/v1/work-orders/{order['id']}"
    shown = (await org.dispatcher.get(path, include="costs,client")).json
    assert (shown["client_name"], shown["costs"]["sums"]) == ("Frei AG", [])
    for caller in (org.viewer, org.technician):
        assert is_problem(await caller.get(path, include="client,costs"), 403, "forbidden")
    for refused in ("costs", "client,", "parts"):
        answer = await org.dispatcher.get("/v1/work-orders", include=refused)
        assert is_problem(answer, 400, "invalid_parameter")


# Filters ------------------------------------------------------------------------------------------


async def test_what_waits_for_somebody_is_listed_until_it_is_given_or_over(
    org: Organization,
) -> None:
    waiting = await made_order(org)
    draft = await made_order(org, status="draft")
    given = await moved(org, await made_order(org, assignee_ids=[await employee(org)]), "assign")
    over = await moved(org, await made_order(org), "cancel")
    assert await listed_ids(org, unassigned="true") == [draft["id"], waiting["id"]]
    assert await listed_ids(org, unassigned="false") == [over["id"], given["id"]]
    await say(org, waiting, "assign", {"assignee_ids": [await employee(org)]})
    assert await listed_ids(org, unassigned="true") == [draft["id"]]


async def test_orders_are_found_by_words_of_their_title_or_by_number(org: Organization) -> None:
    cable = await made_order(org, title="Replace the crane's cable")
    grease = await made_order(org, title="Grease the Crane")
    assert await listed_ids(org, q="CRANE") == [grease["id"], cable["id"]]
    assert await listed_ids(org, q="cab repl") == [cable["id"]]
    assert await listed_ids(org, q="crane grease oil") == []
    assert await listed_ids(org, q="rane") == []
    assert await listed_ids(org, q="#" + str(grease["number"])) == [grease["id"]]
    assert await listed_ids(org, number=cable["number"]) == [cable["id"]]
    assert await listed_ids(org, number=2**31 - 1) == []
    await org.dispatcher.patch(f"/v1/work-orders/{cable['id']}", {"title": "Paint"})
    assert await listed_ids(org, q="crane", sort="due_at") == [grease["id"]]
    await org.dispatcher.delete(f"/v1/work-orders/{grease['id']}")
    assert await listed_ids(org, q="crane") == []
    assert await listed_ids(org, number=grease["number"], deleted="true") == [grease["id"]]
    answer = await org.viewer.get("/v1/work-orders", q="crane", deleted="true")
    assert is_problem(answer, 400, "invalid_parameter")


async def test_windows_begin_with_their_first_instant_and_end_before_their_last(
    org: Organization,
) -> None:
    orders = {
        "due": {"due_at": day(2)},
        "planned": {"planned_start": day(2), "planned_end": day(4)},
        "both": {"planned_start": day(1), "planned_end": day(1, 8), "due_at": day(5)},
        "neither": {},
    }
    ids = {name: (await made_order(org, **body))["id"] for name, body in orders.items()}

    async def found(**filters: Any) -> set[str]:
        listed = await listed_ids(org, **filters)
        return {name for name, order_id in ids.items() if order_id in listed}

    assert await found(due_from=day(2), due_to=day(5)) == {"due"}
    assert await found(due_from=day(2)) == {"due", "both"}
    assert await found(due_to=day(2)) == set()
    assert await found(due_from=day(2), due_to=day(2)) == set()
    assert await found(scheduled_from=day(2), scheduled_to=day(3)) == {"due", "planned"}
    assert await found(scheduled_from=day(5)) == {"both"}
    assert await found(scheduled_to=day(2)) == {"both"}
    made_at = (await org.viewer.get(f"/v1/work-orders/{ids['planned']}")).json["created_at"]
    assert await found(created_from=made_at) == {"planned", "both", "neither"}
    assert await found(created_to=made_at) == {"due"}
    assert await found(created_from=made_at, due_from=day(0)) == {"both"}
    for name in ("created", "due", "scheduled"):
        swapped: Any = {f"{name}_from": day(2), f"{name}_to": day(1)}
        answer = await org.viewer.get("/v1/work-orders", **swapped)
        assert is_problem(answer, 400, "invalid_parameter")


async def test_orders_are_sorted_by_when_they_are_planned_to_begin(org: Organization) -> None:
    late, never, early = [
        (await made_order(org, **body))["id"]
        for body in (
            {"planned_start": day(2), "planned_end": day(3)},
            {},
            {"planned_start": day(1), "planned_end": day(9)},
        )
    ]
    assert await listed_ids(org, sort="planned_start") == [early, late, never]
    assert await listed_ids(org, sort="-planned_start") == [never, late, early]
    assert await listed_ids(org, sort="planned_start", limit=1) == [early, late, never]


# Counts -------------------------------------------------------------------------------------------


async def _counts(org: Organization, **filters: Any) -> dict[str, int]:
    answer = await org.viewer.get("/v1/work-orders/counts", **filters)
    assert answer.status == 200, answer.json
    rows = answer.json["data"]
    assert [row["status"] for row in rows] == list(STATES)
    assert not any(row["total_is_estimate"] for row in rows)
    return {row["status"]: row["total"] for row in rows if row["total"]}


async def test_one_call_counts_all_statuses_by_the_filters_of_the_list(org: Organization) -> None:
    for state in STATES:
        await in_state(org, state)
    await made_order(org, title="Grease the digger", priority="urgent", due_at=day(1))
    gone = await made_order(org, title="Grease another")
    await org.dispatcher.delete(f"/v1/work-orders/{gone['id']}")
    assert await _counts(org) == dict.fromkeys(STATES, 1) | {"created": 2}
    assert await _counts(org, priority="urgent") == {"created": 1}
    assert await _counts(org, q="digger") == {"created": 1}
    assert await _counts(org, due_from=day(0)) == {"created": 1}
    assert await _counts(org, deleted="true") == {"created": 1}
    other = await org.viewer.get("/v1/work-orders/counts", status="created")
    assert is_problem(other, 400, "unknown_parameter")
    nobody = await org.viewer.get("/v1/work-orders/counts", client_id="cli_" + "0" * 26)
    assert nobody.status == 404


def test_a_status_with_more_than_are_counted_says_so() -> None:
    for rows, total, is_estimate in [(10_000, 10_000, False), (10_001, 10_000, True)]:
        count = status_count("created", rows)
        assert (count["total"], count["total_is_estimate"]) == (total, is_estimate)
