"""Commands to devices, from the API over the listener to boxes and phones at real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from db.core.connect import connect
from db.listener import commands as stored
from db.listener.commands import CommandAnswer
from db.resources.commands import MOST_OF_TRACKER
from telemetry.ids import format_id, parse_id
from tests.api.problems import is_problem
from tests.api.running import Client, Organization, RunningApi
from tests.listener.running import System, running
from tests.listener.tcp.boxes import Box, new_imei
from tests.listener.tcp.gt06_devices import Tracker
from tests.listener.tcp.streams import (
    GT06_ICCID,
    GT06_RELAY,
    TELTONIKA_GETINFO,
    TELTONIKA_GETIO,
    TELTONIKA_INFO,
    TELTONIKA_IO,
)
from tests.servers import DatabaseUnderTest
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.own_api

PATH = "/v1/commands"
NOW = int(datetime.now(UTC).timestamp())


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest, api: RunningApi) -> Iterator[System]:
    with running(database) as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def tracker(org: Organization, imei: str | None = None) -> dict[str, Any]:
    """Return a new tracker with its secret."""
    answer = await org.admin.post("/v1/trackers", {"imei": imei})
    assert answer.status == 201, answer.json
    return answer.json


async def queued(caller: Client, tracker_id: str, text: str, **more: Any) -> dict[str, Any]:
    """Return a new command."""
    answer = await caller.post(f"/v1/trackers/{tracker_id}/commands", {"text": text, **more})
    assert answer.status == 201, answer.json
    assert answer.json["state"] == "queued"
    return answer.json


async def shown(org: Organization, command: dict[str, Any]) -> dict[str, Any]:
    return (await org.dispatcher.get(f"{PATH}/{command['id']}")).json


async def becomes(org: Organization, command: dict[str, Any], state: str) -> dict[str, Any]:
    """Return a command once it is in a state."""

    async def is_there() -> bool:
        return (await shown(org, command))["state"] == state

    await until(is_there)
    return await shown(org, command)


async def read(reader: asyncio.StreamReader, size: int) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await reader.readexactly(size)


async def nothing_comes(reader: asyncio.StreamReader, seconds: float = 2.0) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await reader.read(1) == b""
    except TimeoutError:
        return True


def grown_old(api: RunningApi, command: dict[str, Any], **by: float) -> None:
    """Let the times of a command lie in the past, as if it had waited."""
    columns = ("created_at", "expires_at", "sent_at", "answer_until")
    changes = ", ".join(f"{name} = {name} - %(by)s" for name in columns)
    api.sql_named(
        f"UPDATE commands SET {changes} WHERE id = %(id)s",
        {"by": timedelta(**by), "id": parse_id("cmd", command["id"])},
    )


async def test_a_box_answers_what_it_is_asked_one_after_the_other(
    system: System, org: Organization
) -> None:
    imei = new_imei()
    of = await tracker(org, imei)
    box = await Box.signed_in(system, imei)
    first = await queued(org.dispatcher, of["id"], "getinfo")
    assert await read(box.reader, len(TELTONIKA_GETINFO)) == TELTONIKA_GETINFO
    second = await queued(org.admin, of["id"], "getio")
    sent = await shown(org, first)
    assert (sent["state"], sent["sends"], sent["answer"]) == ("sent", 1, None)
    assert (await org.dispatcher.post(f"{PATH}/{first['id']}/cancel", None)).status == 409
    assert await nothing_comes(box.reader)
    assert (await shown(org, second))["state"] == "queued"
    box.writer.write(TELTONIKA_INFO)
    answered = await becomes(org, first, "answered")
    assert answered["answer"].startswith("INI:2019/7/22 7:22 RTC")
    assert answered["sent_at"] <= answered["answered_at"]
    assert await read(box.reader, len(TELTONIKA_GETIO)) == TELTONIKA_GETIO
    box.writer.write(TELTONIKA_IO)
    await becomes(org, second, "answered")
    listed = await org.dispatcher.get(PATH, tracker_id=of["id"])
    assert [each["id"] for each in listed.json["data"]] == [second["id"], first["id"]]
    assert (await org.dispatcher.get(PATH, state="queued")).json["data"] == []
    box.close()


async def test_a_device_of_gt06_answers_and_what_it_says_unasked_is_nobodys(
    system: System, org: Organization
) -> None:
    imei = new_imei()
    of = await tracker(org, imei)
    device = await Tracker.signed_in(system, imei)
    device.writer.write(GT06_ICCID)
    command = await queued(org.dispatcher, of["id"], "Relay,1#")
    assert await read(device.reader, len(GT06_RELAY)) == GT06_RELAY
    assert await nothing_comes(device.reader, 1)
    assert (await shown(org, command))["state"] == "sent"
    device.writer.write(GT06_ICCID)
    answered = await becomes(org, command, "answered")
    assert answered["answer"] == "<ICCID:89882390000097302650>"
    device.writer.close()


async def test_a_command_waits_for_the_device_and_for_the_listener(
    system: System, org: Organization
) -> None:
    imei = new_imei()
    of = await tracker(org, imei)
    command = await queued(org.dispatcher, of["id"], "getinfo")
    system.listener.stop()
    other = await queued(org.dispatcher, of["id"], "getio")
    await asyncio.to_thread(system.listener.start)
    box = await Box.signed_in(system, imei)
    assert await read(box.reader, len(TELTONIKA_GETINFO)) == TELTONIKA_GETINFO
    box.writer.write(TELTONIKA_INFO)
    assert await read(box.reader, len(TELTONIKA_GETIO)) == TELTONIKA_GETIO
    box.writer.write(TELTONIKA_IO)
    assert (await becomes(org, command, "answered"))["sends"] == 1
    await becomes(org, other, "answered")
    box.close()


@pytest.mark.parametrize("repeatable", [False, True])
async def test_after_a_kill_only_what_is_repeatable_is_sent_again(
    system: System, api: RunningApi, org: Organization, repeatable: bool
) -> None:
    imei = new_imei()
    of = await tracker(org, imei)
    box = await Box.signed_in(system, imei)
    command = await queued(org.dispatcher, of["id"], "getinfo", repeatable=repeatable)
    await read(box.reader, len(TELTONIKA_GETINFO))
    system.listener.kill()  # marked, sent, and not answered
    grown_old(api, command, minutes=2)
    await asyncio.to_thread(system.listener.start)
    again = await Box.signed_in(system, imei)
    if repeatable:
        assert await read(again.reader, len(TELTONIKA_GETINFO)) == TELTONIKA_GETINFO
        again.writer.write(TELTONIKA_INFO)
        assert (await becomes(org, command, "answered"))["sends"] == 2
    else:
        assert (await shown(org, command))["state"] == "unanswered"
        assert await nothing_comes(again.reader)
        next_one = await queued(org.dispatcher, of["id"], "getio")  # it blocks nothing
        assert await read(again.reader, len(TELTONIKA_GETIO)) == TELTONIKA_GETIO
        assert (await shown(org, next_one))["sends"] == 1
        assert (await shown(org, command))["sends"] == 1
    again.close()


async def test_what_has_expired_or_was_cancelled_is_never_sent(
    system: System, api: RunningApi, org: Organization
) -> None:
    imei = new_imei()
    of = await tracker(org, imei)
    expired = await queued(org.dispatcher, of["id"], "reset", expires_in_h=1)
    grown_old(api, expired, hours=2)
    assert (await shown(org, expired))["state"] == "expired"
    cancelled = await queued(org.dispatcher, of["id"], "cpureset", repeatable=True)
    for _ in range(2):
        answer = await org.dispatcher.post(f"{PATH}/{cancelled['id']}/cancel", None)
        assert (answer.status, answer.json["state"]) == (200, "cancelled")
    assert (await org.dispatcher.post(f"{PATH}/{expired['id']}/cancel", None)).status == 409
    box = await Box.signed_in(system, imei)
    assert await nothing_comes(box.reader)
    await queued(org.dispatcher, of["id"], "getinfo")
    assert await read(box.reader, len(TELTONIKA_GETINFO)) == TELTONIKA_GETINFO
    box.close()


async def test_of_many_listeners_that_take_a_command_one_has_it(
    api: RunningApi, org: Organization
) -> None:
    of = await tracker(org)
    made = [await queued(org.dispatcher, of["id"], f"getinfo {number}") for number in range(2)]
    ready = {(org.org_id, parse_id("trk", of["id"])): True}
    sessions = [await connect(api.database.url("opsc_listen"), "test") for _ in range(8)]
    taken = await asyncio.gather(*(stored.take(session, ready) for session in sessions))
    (command,) = [command for some in taken for command in some]
    assert format_id("cmd", command.id) == made[0]["id"]
    assert await stored.take(sessions[0], ready) == []  # the other one waits for the answer
    key = (command.org_id, command.id)
    await stored.answer(sessions[0], {key: CommandAnswer("yes", datetime.now(UTC))})
    await stored.answer(sessions[0], {key: CommandAnswer("no", datetime.now(UTC))})
    assert (await shown(org, made[0]))["answer"] == "yes"
    assert len(await stored.take(sessions[0], ready)) == 1
    for session in sessions:
        await session.close()


class Phone:
    """OwnTracks, subscribed to its commands."""

    def __init__(self, system: System, of: dict[str, Any]) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.topic = f"owntracks/{of['id']}/phone"
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id="phone",
            protocol=paho.MQTTv311,
            clean_session=False,
        )
        self._client.username_pw_set(of["id"], of["secret"])
        self._client.on_message = lambda _, __, message: self.heard.append(
            (message.topic, json.loads(message.payload))
        )
        self._client.connect("127.0.0.1", system.port)
        self._client.loop_start()

    def subscribe(self) -> None:
        self._client.subscribe([(f"{self.topic}/cmd", 1), ("owntracks/+/+", 1)])

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


async def test_a_phone_hears_commands_on_its_own_topic(system: System, org: Organization) -> None:
    of = await tracker(org)
    phone = Phone(system, of)
    phone.subscribe()
    first = await queued(org.dispatcher, of["id"], "reportLocation")
    await queued(org.dispatcher, of["id"], '{"action": "action", "content": "Call the office"}')
    await until(lambda: len(phone.heard) == 2)
    assert phone.heard == [
        (f"{phone.topic}/cmd", {"_type": "cmd", "action": "reportLocation"}),
        (
            f"{phone.topic}/cmd",
            {"_type": "cmd", "action": "action", "content": "Call the office"},
        ),
    ]
    assert (await shown(org, first))["state"] == "sent"
    phone.leave()
    third = await queued(org.dispatcher, of["id"], "dump")
    again = Phone(system, of)  # its session goes on, with the subscription
    await until(lambda: again.heard)
    assert again.heard[0][1]["action"] == "dump"
    assert (await becomes(org, third, "sent"))["sends"] == 1
    again.leave()


async def test_a_phone_hears_a_command_in_the_answer_to_its_request(
    system: System, org: Organization, http: aiohttp.ClientSession
) -> None:
    of = await tracker(org)
    url = f"{system.ingest_url}/owntracks/{of['id']}.{of['secret']}"
    location = {"_type": "location", "tst": NOW, "lat": 52.5, "lon": 13.4}

    async def answer() -> list[dict[str, Any]]:
        async with http.post(url, json=location) as answered:
            assert answered.status == 200
            return await answered.json()

    assert await answer() == []
    command = await queued(org.dispatcher, of["id"], "reportLocation")
    heard: list[dict[str, Any]] = []

    async def is_heard() -> bool:
        heard.extend(await answer())
        return bool(heard)

    await until(is_heard)
    assert heard == [{"_type": "cmd", "action": "reportLocation"}]
    assert (await shown(org, command))["state"] == "sent"
    assert await answer() == []


async def test_a_tracker_that_is_connected_without_commands_gets_none(
    system: System, org: Organization
) -> None:
    of = await tracker(org)
    phone = Phone(system, of)
    path = f"/v1/trackers/{of['id']}/commands"

    async def refused() -> bool:
        return (await org.dispatcher.post(path, {"text": "x"})).status == 409

    await until(refused)
    answer = await org.dispatcher.post(path, {"text": "x"})
    assert is_problem(answer, 409, "no_commands")
    assert "OwnTracks" in answer.json["detail"]
    phone.subscribe()

    async def is_taken() -> bool:
        return (await org.dispatcher.post(path, {"text": "reportLocation"})).status == 201

    await until(is_taken)
    phone.leave()


async def test_another_organization_neither_sends_nor_sees_nor_cancels(
    org: Organization, api: RunningApi
) -> None:
    other, of = api.organization("Others"), await tracker(org)
    command = await queued(org.dispatcher, of["id"], "getinfo")
    path = f"/v1/trackers/{of['id']}/commands"
    assert is_problem(await other.admin.post(path, {"text": "reset"}), 404, "not_found")
    one = f"{PATH}/{command['id']}"
    assert is_problem(await other.admin.get(one), 404, "not_found")
    assert is_problem(await other.admin.post(f"{one}/cancel", None), 404, "not_found")
    assert (await other.admin.get(PATH)).json["data"] == []
    assert (await other.admin.get(PATH, tracker_id=of["id"])).status == 404


async def test_dispatchers_and_admins_send_and_a_key_with_the_scope_alone(
    org: Organization, api: RunningApi
) -> None:
    of = await tracker(org)
    path = f"/v1/trackers/{of['id']}/commands"
    for caller in (org.viewer, org.technician):
        assert is_problem(await caller.post(path, {"text": "getinfo"}), 403, "forbidden")
        assert is_problem(await caller.get(PATH), 403, "forbidden")
    for scope, status in (("trackers:write", 403), ("commands:read", 403), ("commands:write", 201)):
        made = await org.admin.post("/v1/api-keys", {"name": scope, "scopes": [scope]})
        key = Client(api.url, made.json["secret"])
        assert (await key.post(path, {"text": "getinfo"})).status == status, scope


async def test_who_sent_and_cancelled_is_in_the_audit(org: Organization) -> None:
    of = await tracker(org)
    command = await queued(org.dispatcher, of["id"], "getinfo")
    await org.admin.post(f"{PATH}/{command['id']}/cancel", None)
    listed = await org.admin.get(
        "/v1/audit-events", resource_type="command", resource_id=command["id"]
    )
    events = listed.json["data"]
    assert [event["action"] for event in events] == ["update", "insert"]
    assert events[1]["changes"]["text"]["new"] == "getinfo"
    assert events[1]["user_id"] == command["created_by"] != events[0]["user_id"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"text": ""}, "/text"),
        ({"text": "a\r\nb"}, "/text"),
        ({"text": "ü"}, "/text"),
        ({"text": "x" * 201}, "/text"),
        ({"text": "x", "expires_in_h": 169}, "/expires_in_h"),
        ({"text": "x", "expires_in_h": 0}, "/expires_in_h"),
    ],
)
async def test_a_text_that_no_device_takes_is_refused(
    org: Organization, body: dict[str, Any], pointer: str
) -> None:
    of = await tracker(org)
    answer = await org.dispatcher.post(f"/v1/trackers/{of['id']}/commands", body)
    assert is_problem(answer, 422, "invalid_body")
    assert answer.json["errors"][0]["pointer"] == pointer


async def test_a_tracker_has_room_for_twenty_and_a_revoked_one_for_none(org: Organization) -> None:
    of = await tracker(org)
    path = f"/v1/trackers/{of['id']}/commands"
    made = [await queued(org.dispatcher, of["id"], "getinfo") for _ in range(MOST_OF_TRACKER)]
    answer = await org.dispatcher.post(path, {"text": "getinfo"})
    assert is_problem(answer, 429, "too_many_commands")
    assert "Retry-After" in answer.headers
    await org.dispatcher.post(f"{PATH}/{made[7]['id']}/cancel", None)
    await queued(org.dispatcher, of["id"], "getinfo")
    await org.admin.post(f"/v1/trackers/{of['id']}/revoke", None)
    assert is_problem(await org.dispatcher.post(path, {"text": "getinfo"}), 409, "tracker_revoked")
