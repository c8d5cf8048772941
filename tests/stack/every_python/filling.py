"""Something to do for each operation that reads, and for each loop of `opsc deliver`.

Made as users and devices make it: by the REST interface, over MQTT and by HTTP. Only the age of a
command, and the times since which trips are told and at which a report is due, are written by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from device_sim.plan import SimTracker
from mqtt import BrokerAddress, PublishRefusedError
from stack.scenario.api_client import ApiClient
from stack.scenario.registration import known_to_broker
from stack.scenario.week import MACHINES, TOWN, YARD, make_week
from tests.api.photos.uploading import upload
from tests.api.resources.quoting import png
from tests.stack.command import opsc
from tests.stack.every_python.whole import Whole, answered
from tests.webhooks.receivers import Receiver

NOW = datetime.now(UTC).replace(microsecond=0)
LONG_AGO = NOW - timedelta(days=400)
REMOVED, ARCHIVED, UPLOADED = (
    (NOW - timedelta(days=days)).replace(hour=10, minute=0, second=0) for days in (300, 40, 3)
)
"""The days of fixes that retention removes, that the archive takes, and of an uploaded track."""
KEPT_DAYS = 200
FIXES = 20
"""Of each of these days: one a minute."""
DEVICE, STRANGER = "70B3D5000000001F", "unknown-1"
"""A device that its gateway registers, and another one."""
IMPORTED = "Imported truck"


@dataclass
class Filled:
    """The things that the tests ask for again. machine: its tracker, with the `asset_id`.

    ids: of things that operations are about, by their collection or the name of the parameter.
    jobs: by what is asked for. endpoints: by how their receiver is.
    """

    machine: Any
    employee_id: str
    old_command_id: str
    schedule_id: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    endpoints: dict[str, str] = field(default_factory=dict)


def text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def drive(begin: datetime) -> list[dict[str, Any]]:
    """Return fixes on the way out of the yard, a minute and 300 m apart."""
    return [
        {
            "time": text(begin + timedelta(minutes=number)),
            "lat": YARD.lat,
            "lon": round(YARD.lon + number * 0.0045, 6),
            "speed_mps": 5.0,
            "accuracy_m": 5.0,
        }
        for number in range(FIXES)
    ]


async def fill_the_past(whole: Whole) -> Filled:
    """Make a machine and an employee's phone, with fixes of days that are long over, then let
    `opsc deliver` begin anew: it looks for old data when it starts.
    """
    settings = {"timezone": TOWN.key, "shows_employees": True}
    answered(await whole.admin.patch("/v1/organization", settings), 200)
    since = {"assigned_from": text(LONG_AGO)}
    asset = await whole.made("assets", {"name": "Old truck", "tags": ["crane"]})
    machine = await whole.made("trackers", {"asset_id": asset["id"]} | since)
    employee = await whole.made("employees", {"name": "Anna Keller"})
    phone = await whole.made("trackers", {"employee_id": employee["id"]} | since)
    newest = SimTracker(phone["id"], phone["secret"])
    await known_to_broker(BrokerAddress.parse(whole.stack.broker_url), newest)
    for tracker, days in ((machine, (REMOVED, ARCHIVED)), (phone, (ARCHIVED,))):
        for day in days:
            await whole.publish(tracker, drive(day))
        await whole.publish(tracker, drive(NOW - timedelta(minutes=FIXES)))
    command = await _command(whole)
    whole.sql("UPDATE commands SET created_at = now() - interval '31 days'")
    keeps = ("org", "set-retention", whole.account.organization_id, "--positions", str(KEPT_DAYS))
    done = opsc(*keeps, "--data", whole.up.data_dir)
    assert done.returncode == 0, done.stderr
    await whole.restart_deliver()
    await whole.until(lambda: _is_archived(whole))  # an erasure would cut the pass short
    return Filled({**machine, "asset_id": asset["id"]}, employee["id"], command["id"])


async def _is_archived(whole: Whole) -> bool:
    archive = answered(await whole.admin.get("/v1/organization/archive"), 200)
    return archive["last_day"] == f"{ARCHIVED:%Y-%m-%d}"


async def fill(whole: Whole, filled: Filled, receivers: dict[str, Receiver]) -> None:
    """Switch everything on, and make the demo's week and a thing of each other kind."""
    answered(await whole.admin.patch("/v1/organization", {"trip_events": True}), 200)
    whole.sql("UPDATE organizations SET trip_events_since = now() - interval '20 days'")
    for how, receiver in receivers.items():
        hook = {"url": receiver.url, "types": ["*"], "ordered": how == "ordered"}
        filled.endpoints[how] = (await whole.made("webhook-endpoints", hook))["id"]
    await _make_week(whole, filled)
    await _from_devices(whole, filled)
    await _people(whole, filled)
    await _store(whole, filled)
    await _paper(whole, filled)
    await _jobs(whole, filled)


async def _make_week(whole: Whole, filled: Filled) -> None:
    """Make the week of the demo, and note a machine and a zone in which it was."""
    stack = whole.stack
    async with ApiClient(stack.api_url) as client:
        await client.sign_in(*whole.account)
        broker = BrokerAddress.parse(stack.broker_url)
        await make_week(client, broker, stack.database["opsc_ingest"], whole.org_id, NOW)
    machine, yard = MACHINES[0][0], YARD.name
    filled.ids["asset_id"] = (await whole.first_of("assets", q=machine))["id"]
    filled.ids["/v1/zones"] = (await whole.first_of("zones", q=yard))["id"]


async def _from_devices(whole: Whole, filled: Filled) -> None:
    """Let a gateway forward for devices that it registers and that it does not, send what is no
    fix, and queue a command.
    """
    mapping = {"device": "/id", "lat": "/lat", "lon": "/lon", "time": "/time"}
    body = {"name": "Gate", "kind": "generic", "mapping": mapping, "auto_register": "70B3D5*"}
    gateway = await whole.made("gateways", body)
    assert whole.stack.ingest_url is not None
    url = f"{whole.stack.ingest_url}gateways/{gateway['id']}.{gateway['secret']}"
    async with aiohttp.ClientSession() as http:

        async def takes(device: str) -> bool:
            fix = {"id": device, "lat": YARD.lat, "lon": YARD.lon, "time": text(NOW)}
            async with http.post(url, json=fix) as answer:
                return answer.status == 200

        for device in (DEVICE, STRANGER):
            await whole.until(lambda device=device: takes(device))

    async def is_listed() -> bool:
        unknown = await whole.listed("unknown-devices")
        return STRANGER in [device["external_id"] for device in unknown]

    await whole.until(is_listed)
    with pytest.raises(PublishRefusedError):
        await whole.publish(filled.machine, "no fix")
    await _command(whole)


async def _command(whole: Whole) -> Any:
    """Queue a command for a device that never came."""
    spare = await whole.made("trackers", {"name": "Spare"})
    return await whole.made(f"trackers/{spare['id']}/commands", {"text": "getinfo"})


async def _people(whole: Whole, filled: Filled) -> None:
    """Invite a user by a letter, make a key, let a report be due, and give a logo and a photo."""
    await whole.made("users", {"email": "anna@demo.example", "role": "viewer"})
    await whole.made("api-keys", {"name": "Nightly", "scopes": ["assets:read"]})
    me = answered(await whole.admin.get("/v1/users/me"), 200)["id"]
    report = {"name": "Ways", "report": "distance", "cadence": "daily", "recipient_ids": [me]}
    filled.schedule_id = (await whole.made("report-schedules", report))["id"]
    whole.sql("UPDATE report_schedule_runs SET next_run_at = now() - interval '1 day'")
    logo = aiohttp.FormData({"file": BytesIO(png(64, 64))})
    sent = await whole.admin.send("PUT", "/v1/organization/logo", data=logo)
    assert sent.status in (200, 201, 204), sent.content
    answered(await upload(whole.admin, png(), asset_id=filled.machine["asset_id"]), 201)


async def _store(whole: Whole, filled: Filled) -> None:
    """Make parts, one of them in lots, and plan one for a work order with a comment."""
    store = (await whole.made("warehouses", {"name": "Store"}))["id"]
    part = (await whole.made("parts", {"number": "OF-1", "name": "Oil filter"}))["id"]
    sling = {"number": "SL-1", "name": "Sling", "tracking": "lot"}
    sling_id = (await whole.made("parts", sling))["id"]
    stocked = {"part_id": part, "warehouse_id": store, "opening_quantity": 3, "reorder_point": 5}
    await whole.made("inventory", stocked)
    received = {"kind": "receive", "quantity": 2, "warehouse_id": store}
    await whole.made("stock-movements", received | {"part_id": sling_id, "lot": "L-1"})
    order = await whole.first_of("work-orders", status="started")
    path = f"work-orders/{order['id']}"
    await whole.made(f"{path}/comments", {"text": "The key is with the foreman."})
    await whole.made(f"{path}/parts", {"part_id": part, "quantity": 2})
    filled.ids |= {"/v1/work-orders": order["id"], "part_id": part}


async def _paper(whole: Whole, filled: Filled) -> None:
    """Mail a quote that is accepted, and submit an inspection."""
    client = (await whole.first_of("clients"))["id"]
    line = {"description": "Work", "quantity_thousandths": 1000, "unit_price_cents": 24_000}
    body = {"client_id": client, "title": "Excavation", "lines": [line], "currency": "CHF"}
    quote = (await whole.made("quotes", body | {"valid_until": "2099-04-30"}))["id"]
    await whole.made(f"quotes/{quote}/send", {"email": "office@demo.example"}, 202)

    async def is_sent() -> bool:
        return answered(await whole.admin.get(f"/v1/quotes/{quote}"), 200)["status"] == "sent"

    await whole.until(is_sent)
    accepted = {"name": "Ann Lee", "reason": "She signed a letter."}
    await whole.made(f"quotes/{quote}/accept", accepted, 200)
    question = {"id": "brakes", "type": "pass_fail", "label": "Do the brakes hold?"}
    sections = [{"title": "Chassis", "questions": [question]}]
    template = await whole.made("inspection-templates", {"name": "Daily", "sections": sections})
    answers = {"brakes": {"value": "pass"}}
    form = {"template_id": template["id"], "status": "submitted", "answers": answers}
    await whole.made("inspection-forms", form)
    filled.ids["/v1/quotes"] = quote


async def _jobs(whole: Whole, filled: Filled) -> None:
    """Ask for a job of each kind."""
    admin = whole.admin
    csv = {"Content-Type": "text/csv"}
    table = f"external_id,name\nI-1,{IMPORTED}\n".encode()
    sent = await admin.send("POST", "/v1/imports/assets", csv, data=table)
    filled.jobs["import"] = answered(sent, 202)["id"]
    rows = [f"{fix['time']},{fix['lat']},{fix['lon']}" for fix in drive(UPLOADED)]
    path = f"/v1/assets/{filled.machine['asset_id']}/tracks"
    track = "\n".join(["time,lat,lon", *rows]).encode()
    filled.jobs["upload"] = answered(await admin.send("POST", path, csv, data=track), 202)["id"]
    erasure = f"employees/{filled.employee_id}/position-erasures"
    filled.jobs["erasure"] = (await whole.made(erasure, {}, 202))["id"]
    await whole.job_ended(filled.jobs["erasure"])  # it removes exports that may have the positions
    filters = {"from": text(ARCHIVED), "to": text(NOW), "asset_id": filled.machine["asset_id"]}
    export = {"list": "gps-events", "form": "parquet", "filters": filters}
    filled.jobs["export"] = (await whole.made("exports", export, 202))["id"]
    filled.ids["/v1/exports"] = filled.jobs["export"]
