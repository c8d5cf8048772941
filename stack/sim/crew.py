"""The crew of a simulated run: registered through the API, punching over MQTT, then verified.

Each employee has a phone: a tracker of their own that publishes punches with QoS 1, and waits for
its PUBACK.
"""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from device_sim.crew import SITE_RADIUS_M, CrewPlan, PlannedPunch, planned_punches
from device_sim.plan import SimTracker
from mqtt import BrokerAddress, Session, SessionOptions
from stack.scenario.api_client import ApiClient
from stack.scenario.registration import known_to_broker
from telemetry.times import format_time
from telemetry.topics import punches_topic

_AT_A_TIME = 8
_SETTLE_S = 60.0
_SITES_SINCE_US = 86_400_000_000  # before the run: longer ago than any punch


@dataclass(slots=True)
class Crew:
    """Employees with their phones, by number, and their punches so far.

    acknowledged: those of `sent` whose PUBACK came.
    """

    plan: CrewPlan
    employee_ids: list[str]
    phones: list[SimTracker]
    sent: list[PlannedPunch] = field(default_factory=list[PlannedPunch])
    acknowledged: int = 0

    async def punch(self, broker: BrokerAddress, stop: asyncio.Event) -> None:
        """Send the punches when they are due, until `stop`, and wait for their PUBACKs."""
        async with AsyncExitStack() as stack:
            sessions = [
                await stack.enter_async_context(Session(broker, _options(phone)))
                for phone in self.phones
            ]
            began = time.monotonic()
            planned = planned_punches(self.plan, time.time_ns() // 1000)
            async with asyncio.timeout(None) as settling, asyncio.TaskGroup() as sending:
                for punch in planned:
                    if await _is_set_within(stop, began + punch.due_s - time.monotonic()):
                        break
                    self.sent.append(punch)
                    sending.create_task(self._send(sessions[punch.phone], punch))
                else:
                    await _is_set_within(stop, began + self.plan.seconds - time.monotonic())
                settling.reschedule(asyncio.get_running_loop().time() + _SETTLE_S)

    async def _send(self, session: Session, punch: PlannedPunch) -> None:
        topic = punches_topic(self.phones[punch.phone].tracker_id)
        body = json.dumps(punch.payload(self.employee_ids[punch.employee])).encode()
        for _ in range(punch.times):
            await session.publish(topic, body, qos=1)
        self.acknowledged += 1


def _options(phone: SimTracker) -> SessionOptions:
    return SessionOptions(
        client_id=phone.tracker_id, username=phone.tracker_id, password=phone.secret.encode()
    )


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True


async def hire(client: ApiClient, broker: BrokerAddress, plan: CrewPlan) -> Crew:
    """Make the job sites, the employees and their phones. Raises ApiError, FleetError."""
    since = format_time(time.time_ns() // 1000 - _SITES_SINCE_US)
    for name, lon, lat in plan.sites:
        shape = {"type": "Point", "coordinates": [lon, lat]}
        zone = {"name": name, "kind": "jobsite", "geometry": shape, "radius_m": SITE_RADIUS_M}
        await client.post("/v1/zones", {**zone, "valid_from": since})
    turns = asyncio.Semaphore(_AT_A_TIME)

    async def hire(number: int) -> tuple[str, SimTracker]:
        async with turns:
            name = f"Employee {number + 1}"
            rights = {"by": ["tracker"]}
            employee = await client.post("/v1/employees", {"name": name, "punch_rights": rights})
            phone = {"name": f"Phone {number + 1}", "employee_id": employee["id"]}
            made = await client.post("/v1/trackers", phone)
            return employee["id"], SimTracker(made["id"], made["secret"])

    hired = await asyncio.gather(*(hire(number) for number in range(plan.employees)))
    await known_to_broker(broker, hired[-1][1])
    return Crew(plan, [employee_id for employee_id, _ in hired], [phone for _, phone in hired])
