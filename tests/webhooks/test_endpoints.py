"""What the options of an endpoint do, and what is known of its attempts."""

import asyncio
import base64
import json
import os
import socket
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks

from db.core.connect import connect
from db.core.ids import new_id
from db.core.secrets import SecretBox
from db.delivery import delivery_list, endpoint_hours, webhook_deliveries
from db.delivery.webhook_deliveries import WantedDeliveries
from db.delivery.webhook_headers import seal_headers
from telemetry.ids import format_id
from tests.db import rows
from tests.waiting import until
from tests.webhooks import receivers
from tests.webhooks.endpoints import (
    attempts_of,
    change_endpoint,
    disable,
    has_attempts,
    no_failures,
)
from tests.webhooks.world import SECRET_KEY, World, delivering
from webhooks.delivery.deliverer import DeliverLimits
from webhooks.delivery.fair_queue import FairQueueLimits

BOX = SecretBox((SECRET_KEY,))
TOKEN = "a-token-of-the-receiver"


async def _event(world: World, org_id, data: dict[str, Any], kind="asset.geofence_breach") -> str:
    event_id = new_id()
    await world.ingest.execute(
        "INSERT INTO events (org_id, id, type, occurred_at, data) VALUES (%s, %s, %s, now(), %s)",
        (org_id, event_id, kind, json.dumps(data)),
    )
    return format_id("evt", event_id)


# Secrets, headers and payload ---------------------------------------------------------------


@pytest.mark.parametrize("package", [standardwebhooks, svix.webhooks])
async def test_while_a_secret_is_rotated_both_verify_and_afterwards_the_new_one(
    world, database, package
):
    org_id = await world.organization()
    before = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    async with receivers.well_behaved() as receiver:
        endpoint = await world.endpoint(org_id, receiver.url)
        sealed = BOX.seal(before.encode(), endpoint.id.bytes)
        await world.admin.execute(
            "UPDATE webhook_endpoints SET previous_secret_encrypted = %s,"
            " previous_secret_until = now() + interval '1 hour' WHERE id = %s",
            (sealed, endpoint.id),
        )
        await world.events(org_id, 1)
        async with delivering(database):
            await until(lambda: receiver.requests)
            await change_endpoint(world, endpoint, previous_secret_until="2020-01-01T00:00:00Z")
            await world.events(org_id, 1)
            await until(lambda: len(receiver.requests) == 2)
    during, after = receiver.requests
    for secret in (endpoint.secret, before):
        package.Webhook(secret).verify(during.body.decode(), during.headers)
    package.Webhook(endpoint.secret).verify(after.body.decode(), after.headers)
    with pytest.raises(package.WebhookVerificationError):
        package.Webhook(before).verify(after.body.decode(), after.headers)


async def test_a_secret_that_ends_while_deliveries_wait_signs_no_more(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(delay_s=0.1) as receiver:
        endpoint = await world.endpoint(org_id, receiver.url)
        before = BOX.seal(b"whsec_MDEyMzQ1Njc4OWFiY2RlZg==", endpoint.id.bytes)
        await world.events(org_id, 20)
        await world.admin.execute(
            "UPDATE webhook_endpoints SET previous_secret_encrypted = %s,"
            " previous_secret_until = now() + interval '1.2 seconds' WHERE id = %s",
            (before, endpoint.id),
        )
        one_by_one = FairQueueLimits(window=1, waiting_per_attempt=20)
        async with delivering(database, limits=DeliverLimits(attempt_s=20, queues=one_by_one)):
            await until(lambda: len(receiver.requests) == 20)
    signatures = [
        request.headers["webhook-signature"].count("v1,") for request in receiver.requests
    ]
    assert signatures == sorted(signatures, reverse=True)
    assert (signatures[0], signatures[-1]) == (2, 1)


async def test_headers_of_the_owner_are_sent_and_an_echo_of_them_is_not_logged(world, database):
    async def echoes(reader, writer) -> None:
        head = f"HTTP/1.1 500 No\r\nx-echo: {TOKEN}\r\ncontent-length: {len(TOKEN)}\r\n\r\n"
        writer.write((head + TOKEN).encode())
        await writer.drain()

    org_id = await world.organization()
    async with receivers.well_behaved() as receiver, receivers.raw(echoes) as echo:
        for url in (receiver.url, echo):
            endpoint = await world.endpoint(org_id, url)
            sealed = seal_headers(BOX, endpoint.id, {"x-api-key": TOKEN})
            await world.admin.execute(
                "UPDATE webhook_endpoints SET header_names = '{x-api-key}', headers_encrypted = %s"
                " WHERE id = %s",
                (sealed, endpoint.id),
            )
        await world.events(org_id, 1)
        async with delivering(database):
            await until(lambda: receiver.requests)
            await until(lambda: has_attempts(world, org_id, 2))
    assert receiver.requests[0].headers["x-api-key"] == TOKEN
    (refused,) = [each for each in await attempts_of(world, org_id) if each[0] == 500]
    assert refused[4] == "*" * len(TOKEN)
    assert TOKEN not in json.dumps(refused)


async def test_a_thin_payload_has_ids_and_nothing_else_of_the_data(world, database):
    org_id = await world.organization()
    data = {"asset_id": "ast_1", "asset_name": "Truck 7", "lat": 47.0, "asset_ids": ["ast_1"]}
    async with receivers.well_behaved() as receiver:
        await change_endpoint(world, await world.endpoint(org_id, receiver.url), payload="thin")
        event_id = await _event(world, org_id, data)
        async with delivering(database):
            await until(lambda: receiver.requests)
    body = json.loads(receiver.requests[0].body)
    assert body["data"] == {"asset_id": "ast_1", "asset_ids": ["ast_1"]}
    assert (body["id"], body["seq"]) == (event_id, 1)


async def test_a_test_is_sent_to_its_endpoint_alone_and_marked(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved() as receiver, receivers.well_behaved() as other:
        endpoint = await world.endpoint(org_id, receiver.url, ["stock.low"])
        await world.endpoint(org_id, other.url)
        async with rows.transaction(database, "opsc_app", org_id) as conn:
            now = datetime.now(UTC)
            await delivery_list.insert_test(conn, endpoint.id, "quote.sent", '{"a": 1}', now)
        async with delivering(database):
            await until(lambda: receiver.requests)
            await world.events(org_id, 1)
            await until(lambda: other.requests)
    body = json.loads(receiver.requests[0].body)
    assert (body["test"], body["seq"], body["type"]) == (True, 0, "quote.sent")
    real = json.loads(other.requests[0].body)
    assert real["seq"] == 1  # the test has taken none
    assert "test" not in real
    assert len(receiver.requests) == len(other.requests) == 1
    counted = await world.rows("webhook_endpoint_hours", "endpoint_id", "hour", org_id)
    assert (endpoint.id,) not in counted


async def test_the_answer_to_a_test_disables_no_endpoint(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(statuses=[410, 500]) as receiver:
        endpoint = await world.endpoint(org_id, receiver.url)
        async with rows.transaction(database, "opsc_app", org_id) as conn:
            for _ in range(2):
                now = datetime.now(UTC)
                await delivery_list.insert_test(conn, endpoint.id, "quote.sent", "{}", now)
        async with delivering(database):
            await until(lambda: has_attempts(world, org_id, 2))
    assert await world.rows("webhook_endpoints", "state", "id", org_id) == [("active",)]
    assert await no_failures(world, org_id)


# Filters ------------------------------------------------------------------------------------


async def test_an_endpoint_with_filters_gets_what_passes_all_of_them(world, database):
    org_id = await world.organization()
    client, other_client, zone, asset, tagged, plain = (new_id() for _ in range(6))
    for client_id in (client, other_client):
        await world.admin.execute(
            "INSERT INTO clients (org_id, id, name) VALUES (%s, %s, 'x')", (org_id, client_id)
        )
    for asset_id, of_client in ((asset, client), (tagged, None), (plain, other_client)):
        await world.admin.execute(
            "INSERT INTO assets (org_id, id, name, client_id, revision)"
            " VALUES (%s, %s, 'x', %s, 1)",
            (org_id, asset_id, of_client),
        )
    for tags, ended in ((["crane"], None), (["digger"], datetime.now(UTC))):
        await world.admin.execute(
            "INSERT INTO asset_tags (org_id, asset_id, tags, valid_from, valid_to, revision)"
            " VALUES (%s, %s, %s, now() - interval '1 day', %s, 1)",
            (org_id, tagged, tags, ended),
        )
    ast = {name: format_id("ast", one) for name, one in
           (("asset", asset), ("tagged", tagged), ("plain", plain))}  # fmt: skip
    events = {
        "asset": {"asset_id": ast["asset"], "zone_id": None},
        "tagged": {"asset_id": ast["tagged"], "zone_id": format_id("zon", zone)},
        "plain": {"asset_id": ast["plain"], "zone_id": format_id("zon", new_id())},
        "order": {"asset_ids": [ast["plain"], ast["tagged"]], "client_id": None},
        "order of client": {"asset_ids": [], "client_id": format_id("cli", client)},
        "of nothing": {"part_id": format_id("prt", new_id())},
        "odd": {"asset_id": 7, "asset_ids": "x", "zone_id": "zon_", "client_id": ["x"]},
    }
    wanted = {
        "asset_ids": ([asset], {"asset"}),
        "zone_ids": ([zone], {"tagged"}),
        "client_ids": ([client], {"asset", "order of client"}),
        "tags": (["crane", "none"], {"tagged", "order"}),
    }
    endpoints = {}
    for column, (values, _) in wanted.items():
        endpoints[column] = await world.endpoint(org_id, "http://127.0.0.1:9/")
        await change_endpoint(world, endpoints[column], **{column: values})
    old = await world.endpoint(org_id, "http://127.0.0.1:9/")
    await change_endpoint(world, old, tags=["digger"])
    both = await world.endpoint(org_id, "http://127.0.0.1:9/")
    await change_endpoint(world, both, tags=["crane"], zone_ids=[zone])
    every = await world.endpoint(org_id, "http://127.0.0.1:9/")
    off = await world.endpoint(org_id, "http://127.0.0.1:9/")
    await disable(world, off)
    ids = {await _event(world, org_id, data): name for name, data in events.items()}
    async with delivering(database, limits=DeliverLimits(claims=0)):
        await until(lambda: world.all_are_made(org_id))
    found = await world.rows("webhook_deliveries", "endpoint_id, event_id", "seq", org_id)
    got = {endpoint_id: set() for endpoint_id, _ in found}
    for endpoint_id, event_id in found:
        got[endpoint_id].add(ids[format_id("evt", event_id)])
    for column, (_, names) in wanted.items():
        assert got[endpoints[column].id] == names, column
    assert got[every.id] == set(events)
    assert got[both.id] == {"tagged"}
    assert old.id not in got  # the asset had that tag once
    assert off.id not in got


# Order --------------------------------------------------------------------------------------


async def test_an_ordered_endpoint_gets_one_event_after_the_other(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(statuses=[204, 500, 503]) as receiver:
        await change_endpoint(world, await world.endpoint(org_id, receiver.url), is_ordered=True)
        await world.events(org_id, 30)
        async with delivering(database), delivering(database):
            await until(lambda: len(receiver.requests) >= 2)
            for tries in (3, 4):
                assert len(receiver.ids) == 2  # the second is refused, and the others wait
                await until(lambda n=tries - 1: _failed_tries(world, org_id, n - 1))
                await world.make_due()
                await until(lambda n=tries: len(receiver.requests) >= n)
            await until(lambda: len(receiver.ids) == 30)
    seqs = [json.loads(request.body)["seq"] for request in receiver.requests]
    assert seqs == [1, 2, 2, 2, *range(3, 31)]
    assert receiver.open_most == 1


async def _failed_tries(world: World, org_id, tries: int) -> bool:
    found = await world.rows("webhook_deliveries", "seq, attempts, claimed_until", "seq", org_id)
    return (2, tries, None) in found


async def test_the_first_of_ordered_deliveries_is_not_passed_while_it_is_locked(world, database):
    org_id = await world.organization()
    endpoint = await world.endpoint(org_id, "http://127.0.0.1:9/")
    await change_endpoint(world, endpoint, is_ordered=True)
    await world.events(org_id, 3)
    async with delivering(database, limits=DeliverLimits(claims=0)):
        await until(lambda: world.all_are_made(org_id))
    wanted = WantedDeliveries(10, 10, {}, endpoint.id, lease_s=60, claimer=1)
    async with (
        await connect(database.url("opsc_deliver"), "one") as one,
        await connect(database.url("opsc_deliver"), "two") as two,
    ):
        async with one.transaction():
            first = await webhook_deliveries.claim(one, replace(wanted, capacity=1))
            assert [claim.seq for claim in first] == [1]
            assert await webhook_deliveries.claim(two, wanted) == []
        assert await webhook_deliveries.claim(two, wanted) == []  # claimed now


async def test_ordered_deliveries_are_claimed_in_a_row_up_to_the_first_that_is_not_free(
    world, database
):
    org_id = await world.organization()
    endpoint = await world.endpoint(org_id, "http://127.0.0.1:9/")
    await change_endpoint(world, endpoint, is_ordered=True)
    await world.events(org_id, 8)
    async with delivering(database, limits=DeliverLimits(claims=0)):
        await until(lambda: world.all_are_made(org_id))
    wanted = WantedDeliveries(10, 10, {}, endpoint.id, lease_s=60, claimer=1)

    async def claimed_seqs(conn, **changes: Any) -> list[int]:
        claims = await webhook_deliveries.claim(conn, replace(wanted, **changes))
        return [claim.seq for claim in claims]

    async with await connect(database.url("opsc_deliver"), "one") as one:
        async with world.admin.transaction():
            await world.admin.execute(
                "SELECT FROM webhook_deliveries WHERE org_id = %s AND seq = 4 FOR UPDATE", (org_id,)
            )
            assert await claimed_seqs(one) == [1, 2, 3]
        assert await claimed_seqs(one) == []
        await world.make_due()
        await world.admin.execute(
            "UPDATE webhook_deliveries SET next_attempt_at = now() - seq * interval '1 second',"
            " state = CASE seq WHEN 2 THEN 'delivered' ELSE 'pending' END WHERE org_id = %s",
            (org_id,),
        )
        await world.admin.execute(
            "UPDATE webhook_deliveries SET next_attempt_at = now() + interval '1 hour'"
            " WHERE org_id = %s AND seq = 7",
            (org_id,),
        )
        assert await claimed_seqs(one, capacity=3) == [1, 3, 4]
        await world.make_due()
        await world.admin.execute(
            "UPDATE webhook_deliveries SET next_attempt_at = now() + interval '1 hour'"
            " WHERE org_id = %s AND seq = 7",
            (org_id,),
        )
        assert await claimed_seqs(one) == [1, 3, 4, 5, 6]


# The log of attempts ------------------------------------------------------------------------


async def test_each_attempt_is_a_row_of_the_log(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(statuses=[503]) as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        async with delivering(database):
            await until(lambda: has_attempts(world, org_id, 1))
            await world.make_due()
            await until(lambda: has_attempts(world, org_id, 2))
    refused, accepted = await attempts_of(world, org_id)
    assert refused[:3] == (503, None, True)
    assert json.loads(refused[3])["Content-Length"] == "0"
    assert refused[5]
    assert (accepted[0], accepted[4], accepted[5]) == (204, "", False)


async def test_the_log_does_not_tell_a_closed_port_from_a_filtered_one_or_a_wrong_name(
    world, database
):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with receivers.raw(receivers.hangs) as filtered, receivers.raw(receivers.resets) as cut:
        urls = {
            "closed": f"http://127.0.0.1:{port}/",
            "filtered": filtered,
            "cut": cut,
            "no TLS": filtered.replace("http:", "https:").replace("/hook", "/"),
            "no name": "https://nowhere.invalid/",
        }
        orgs = {}
        for name, url in urls.items():
            orgs[name] = await world.organization()
            await world.endpoint(orgs[name], url)
            await world.events(orgs[name], 2)
        took_s: dict[str, float] = {}
        apart_s: dict[str, float] = {}
        async with delivering(database):
            while len(took_s) < len(orgs):
                for name in orgs.keys() - took_s.keys():
                    at = await world.rows("webhook_attempts", "attempted_at", "1", orgs[name])
                    if len(at) == 2:
                        apart_s[name] = abs((at[1][0] - at[0][0]).total_seconds())
                        took_s[name] = (datetime.now(UTC) - max(at)[0]).total_seconds()
                await asyncio.sleep(0.02)
        told = set()
        for name, org_id in orgs.items():
            told.update(await attempts_of(world, org_id))
            deliveries = await world.deliveries(org_id)
            assert deliveries == [("pending", 1, None, "no answer", False)] * 2, name
        assert told == {(None, "no answer", False, None, None, True)}
        # A mark is held for as long as the longest attempt takes (1 s here), whatever failed.
        assert min(took_s.values()) > 0.9, took_s
        # So is the place of an attempt: the next one begins as late, whatever failed.
        assert min(apart_s.values()) > 1, apart_s


async def test_statistics_count_attempts_by_hour_and_how_long_answers_took(
    world, database, deliver
):
    org_id = await world.organization()
    async with receivers.well_behaved(statuses=[503]) as receiver:
        endpoint = await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 9)
        async with delivering(database):
            await until(lambda: has_attempts(world, org_id, 9))
    found = await world.rows(
        "webhook_endpoint_hours", "endpoint_id, attempts, accepted, durations", "hour", org_id
    )
    assert {row[0] for row in found} == {endpoint.id}
    assert [sum(row[place] for row in found) for place in (1, 2)] == [9, 8]
    assert sum(sum(row[3]) for row in found) == 9
    ((hour,),) = await world.rows("webhook_endpoint_hours", "max(hour)", "max(hour)", org_id)
    more = endpoint_hours.CountedHour(
        org_id, endpoint.id, hour, 1, 1, [0] * 20 + [1] + [0] * (endpoint_hours.CLASSES - 21)
    )
    await endpoint_hours.add(deliver, [more])
    found = await world.rows("webhook_endpoint_hours", "attempts, durations", "hour", org_id)
    assert sum(row[0] for row in found) == 10
    assert sum(sum(row[1]) for row in found) == 10
