"""A whole system with the demo's week and every switch on: each GET is answered, and each loop of
`opsc deliver` does its work and goes on. So it runs on each Python that is supported.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from tests.stack.every_python.asking import Asking
from tests.stack.every_python.filling import (
    ARCHIVED,
    DEVICE,
    FIXES,
    IMPORTED,
    NOW,
    UPLOADED,
    Filled,
    fill,
    fill_the_past,
    text,
)
from tests.stack.every_python.whole import Whole, answered, whole_system
from tests.webhooks import receivers
from tests.webhooks.receivers import Receiver

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.every_python,
    pytest.mark.usefixtures("programs"),
    pytest.mark.asyncio(loop_scope="module"),
]

GOOD, FAILING = ("unordered", "ordered"), "failing"
MANY = 100_000

NOT_200 = {"getSession": (401, "it is about the cookie of a browser, and a token is sent")}
"""Operations that answer something else, and why."""
EMPTY = {"listWorkOrderAssetsOnSite": "no machine of the week is at work just now"}
"""Lists in which the system has nothing, and why."""


class Seen(NamedTuple):
    """The system, all that it was given to do, and the receivers of its webhooks."""

    whole: Whole
    filled: Filled
    hooks: dict[str, Receiver]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen() -> AsyncIterator[Seen]:
    async with AsyncExitStack() as stack:
        every = {how: receivers.well_behaved() for how in GOOD}
        every[FAILING] = receivers.well_behaved(statuses=[500] * MANY)
        hooks = {how: await stack.enter_async_context(each) for how, each in every.items()}
        whole = await stack.enter_async_context(whole_system())
        filled = await fill_the_past(whole)
        await fill(whole, filled, hooks)
        yield Seen(whole, filled, hooks)


async def test_every_get_is_answered(seen: Seen) -> None:
    whole = seen.whole
    await whole.job_ended(seen.filled.jobs["export"])
    await whole.until(lambda: whole.listed("webhook-deliveries"))
    document = answered(await whole.admin.get("/openapi.json"), 200)
    said = await Asking(whole, seen.filled, document).ask_all()
    assert len(said) > 100
    expected = {question: NOT_200.get(question.name, (200, ""))[0] for question in said}
    other = [
        f"{question}: {answer}"
        for question, answer in said.items()
        if answer.status != expected[question]
    ]
    assert not other, "\n".join([*other, *whole.errors()])
    empty = {question.name for question, answer in said.items() if answer.rows == 0}
    assert empty == EMPTY.keys()
    assert NOT_200.keys() <= {question.name for question in said}


# The loops of `opsc deliver` ----------------------------------------------------------------------


async def moved(seen: Seen) -> bool:
    """A day of old fixes is in the archive, in the lists, and no longer in the database."""
    in_database = f"SELECT FROM gps_events WHERE time::date = '{ARCHIVED:%Y-%m-%d}'"
    objects = list(seen.whole.archive.rglob(f"day={ARCHIVED:%Y-%m-%d}/*.parquet"))
    is_listed = len(await listed_on(seen, ARCHIVED)) == FIXES
    return is_listed and len(objects) > 0 and seen.whole.sql(in_database) == 0


async def listed_on(seen: Seen, begin: datetime) -> list[Any]:
    """Return the fixes of the machine that are listed from this time on, a day long."""
    asset_id = seen.filled.machine["asset_id"]
    fixes = await seen.whole.listed("gps-events", asset_id=asset_id, from_=text(begin), sort="time")
    return [fix for fix in fixes if fix["time"][:10] == f"{begin:%Y-%m-%d}"]


async def removed(seen: Seen) -> bool:
    """What is too old is gone: a command, and fixes."""
    answer = await seen.whole.admin.get(f"/v1/commands/{seen.filled.old_command_id}")
    fixes = "SELECT FROM gps_events WHERE time < now() - interval '200 days'"
    return answer.status == 404 and seen.whole.sql(fixes) == 0


async def erased(seen: Seen) -> bool:
    job = await seen.whole.job_ended(seen.filled.jobs["erasure"])
    result = job["result"]["erased"]
    return (result["fixes"], result["archived_fixes"]) == (FIXES, FIXES)


async def exported(seen: Seen) -> bool:
    job = await seen.whole.job_ended(seen.filled.jobs["export"])
    file = await seen.whole.admin.get(f"/v1/exports/{job['id']}/file")
    return file.status == 200 and file.content.startswith(b"PAR1")


async def imported(seen: Seen) -> bool:
    assert (await seen.whole.job_ended(seen.filled.jobs["import"]))["state"] == "done"
    return [asset["name"] for asset in await seen.whole.listed("assets", q=IMPORTED)] == [IMPORTED]


async def uploaded(seen: Seen) -> bool:
    assert (await seen.whole.job_ended(seen.filled.jobs["upload"]))["state"] == "done"
    return [fix["uploaded"] for fix in await listed_on(seen, UPLOADED)] == [True] * FIXES


async def registered(seen: Seen) -> bool:
    """A device that a gateway named is a tracker, which nobody made."""
    return len(await seen.whole.listed("trackers", external_id=DEVICE)) == 1


async def mailed(seen: Seen) -> bool:
    """An invitation and the quote are mailed, each to its reader."""
    letters = [path.read_text() for path in seen.whole.mail.glob("*.eml")]
    readers = ("anna@demo.example", "office@demo.example")
    return all(any(f"To: {reader}" in letter for letter in letters) for reader in readers)


async def reported(seen: Seen) -> bool:
    """The report that was due is mailed."""
    letters = [path.read_text() for path in seen.whole.mail.glob("*.eml")]
    is_mailed = any("To: admin@demo.example" in letter for letter in letters)
    schedule = await seen.whole.admin.get(f"/v1/report-schedules/{seen.filled.schedule_id}")
    return is_mailed and answered(schedule, 200)["next_run_at"] > text(NOW)


async def told_of_trips(seen: Seen) -> bool:
    kinds = ("trip.started", "trip.ended", "asset.stopped")
    totals = [await seen.whole.listed("events", type=kind) for kind in kinds]
    return all(totals)


async def delivered(seen: Seen) -> bool:
    """Each good receiver has all events but those of an uploaded track; one has them in order."""
    events = await seen.whole.listed("events", after=0, limit=1000)
    heard = {how: seqs_of(seen.hooks[how]) for how in GOOD}
    first = min(heard["ordered"], default=0)  # what was before the endpoint
    wanted = [
        event["seq"]
        for event in events
        if event["seq"] >= first and event["data"].get("source") != "upload"
    ]
    return wanted == heard["ordered"] == sorted(heard["unordered"])


def seqs_of(receiver: Receiver) -> list[int]:
    """Return the numbers of the events that a receiver has, as they came first."""
    return list(dict.fromkeys(json.loads(request.body)["seq"] for request in receiver.requests))


async def tried_again(seen: Seen) -> bool:
    """The receiver that fails gets events again and again, and holds nobody up."""
    endpoint_id = seen.filled.endpoints[FAILING]
    waiting = await seen.whole.listed("webhook-deliveries", endpoint_id=endpoint_id)
    return any(count > 1 for count in seen.hooks[FAILING].ids.values()) and {
        delivery["state"] for delivery in waiting
    } == {"pending"}


WORK: tuple[Callable[[Seen], Awaitable[bool]], ...] = (
    moved, removed, erased, exported, imported, uploaded, registered, mailed, reported,
    told_of_trips, delivered, tried_again,
)  # fmt: skip


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
async def test_each_loop_does_its_work(seen: Seen, work: Callable[[Seen], Awaitable[bool]]) -> None:
    await seen.whole.until(lambda: work(seen))


async def test_behind_all_of_it_each_process_goes_on_and_no_log_has_an_error(seen: Seen) -> None:
    assert seen.whole.fallen() == []
    assert seen.whole.errors() == []
