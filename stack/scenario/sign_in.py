"""Waits until the broker knows trackers that were registered a moment ago.

A device that is refused tries again by itself; a simulated fleet takes a refusal for a fault.
"""

import asyncio
import time

from device_sim.fleet import FleetError
from device_sim.plan import SimTracker
from mqtt import BrokerAddress, ConnectRefusedError, MqttError, Session, SessionOptions

_KNOWN_WITHIN_S, _ASK_EVERY_S = 15.0, 0.1


async def known_to_broker(address: BrokerAddress, newest: SimTracker) -> None:
    """Wait until the broker lets in the tracker that was registered last; it knows all others then.

    Raises device_sim.fleet.FleetError where it comes to nothing.
    """
    options = SessionOptions(
        client_id=newest.tracker_id,
        username=newest.tracker_id,
        password=newest.secret.encode(),
        clean_start=True,
        session_expiry_s=0,
    )
    deadline = time.monotonic() + _KNOWN_WITHIN_S
    while True:
        try:
            async with Session(address, options) as session, asyncio.timeout(_KNOWN_WITHIN_S):
                return await session.connected.wait()
        except ConnectRefusedError as error:
            if time.monotonic() > deadline:
                told = f"{address} does not know tracker {newest.tracker_id}"
                raise FleetError(f"{told} after {_KNOWN_WITHIN_S:g} s") from error
        except (MqttError, TimeoutError) as error:
            raise FleetError(f"no connection to {address}: {error}") from error
        await asyncio.sleep(_ASK_EVERY_S)
