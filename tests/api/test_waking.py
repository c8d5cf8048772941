"""Requests that write events or letters wake up the loops that wait for them."""

from typing import Any

import pytest

from db.core.wakeups import Channel
from tests.api.running import Organization, RunningApi
from tests.db.core.hearing import listening
from tests.waiting import until

ORDER = {"title": "Look at the lift"}
INVITED = {"email": "new@example.com", "role": "viewer"}


@pytest.mark.parametrize(
    ("path", "body", "headers", "channel"),
    [
        ("/v1/work-orders", ORDER, {}, Channel.EVENTS),
        ("/v1/work-orders", ORDER, {"Idempotency-Key": "once"}, Channel.EVENTS),
        ("/v1/users", INVITED, {}, Channel.LETTERS),
    ],
)
async def test_a_request_wakes_up_who_waits_for_its_rows(
    api: RunningApi,
    north: Organization,
    path: str,
    body: dict[str, Any],
    headers: dict[str, str],
    channel: Channel,
) -> None:
    async with listening(api.database.url("opsc_deliver"), channel) as heard:
        answer = await north.admin.send("POST", path, headers=headers, json=body)
        assert answer.status == 201, answer.content
        await until(lambda: heard)
