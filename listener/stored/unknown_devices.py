"""Devices that would send and are not let in, for their organization: noted here, written in
batches (`listener.stored.writes`).

Whoever sends chooses how many ids there are. What is noted between two writes is bounded, for each
organization and in all; what is beyond is not noted, and its device is when it comes again. A batch
that cannot be written is lost for the same reason.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

import structlog

from db.core.connect import Connection
from db.listener import unknown_devices
from db.listener.unknown_devices import FailedSignIn, LastPosition, UnregisteredDevice
from listener.stored.gateways import Gateway
from telemetry.formats.decode import Format, check_clock, decode
from telemetry.times import to_datetime

MOST = 1_000
MOST_OF_ORGANIZATION = 100
MOST_ID_CHARACTERS = 64
MOST_PAYLOAD_BYTES = 8 * 1024
"""Of a longer message the position is not read."""

_DECODED_AT_ONCE = 25
_LATITUDE = b"lat"
"""Part of what any form calls it. What a device sends beside its position is not kept."""
_log = structlog.get_logger("listener")
_Key: TypeAlias = tuple[UUID, str | UUID]
"""The organization, and an external id or a tracker."""


@dataclass(slots=True)
class _Sighting:
    """protocol, format: as the API has them. payload: the last one that may have a position."""

    gateway_id: UUID | None
    protocol: str
    format: str | None
    first_seen_at: datetime
    last_seen_at: datetime
    seen: int = 0
    payload: bytes = b""
    position: LastPosition | None = None


@dataclass(slots=True)
class UnknownDevices:
    """The devices that were seen since the last write."""

    _noted: dict[_Key, _Sighting] = field(default_factory=dict)
    _of_organization: Counter[tuple[UUID, type]] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self._noted)

    def forwarded(self, gateway: Gateway, external_id: str, payload: bytes, protocol: str) -> None:
        """Note a message of a device that no tracker of the gateway's organization stands for."""
        if not _is_shown(external_id):
            return
        sighting = self._note((gateway.org_id, external_id), protocol, gateway.kind)
        if sighting is not None:
            sighting.gateway_id = gateway.gateway_id
            if _LATITUDE in payload and len(payload) <= MOST_PAYLOAD_BYTES:
                sighting.payload = payload

    def refused(
        self, org_id: UUID, tracker_id: UUID, protocol: str, form: str | None = None
    ) -> None:
        """Note a sign-in that failed. form: what the tracker would send, where that is known."""
        self._note((org_id, tracker_id), protocol, form)

    def _note(self, key: _Key, protocol: str, form: str | None) -> _Sighting | None:
        """Return what is noted of a device; None where there is no room for it."""
        now, sighting = datetime.now(UTC), self._noted.get(key)
        if sighting is None:
            kind = key[0], type(key[1])  # failed sign-ins take no place of what gateways forward
            if len(self) >= MOST or self._of_organization[kind] >= MOST_OF_ORGANIZATION:
                return None
            self._of_organization[kind] += 1
            sighting = self._noted[key] = _Sighting(None, protocol, form, now, now)
        sighting.seen += 1
        sighting.protocol, sighting.format, sighting.last_seen_at = protocol, form, now
        return sighting

    async def write(self, conn: Connection) -> None:
        """Write what was noted."""
        if not self._noted:
            return
        noted, self._noted, self._of_organization = self._noted, {}, Counter()
        unregistered: list[UnregisteredDevice] = []
        failed: list[FailedSignIn] = []
        await _read_positions([each for each in noted.values() if each.payload])
        for (org_id, name), each in noted.items():
            times = each.seen, each.first_seen_at, each.last_seen_at
            if isinstance(name, UUID):
                failed.append(FailedSignIn(org_id, name, each.protocol, each.format, *times))
            elif each.gateway_id is not None and each.format is not None:
                said = each.gateway_id, each.protocol, each.format
                unregistered.append(UnregisteredDevice(org_id, name, *said, *times, each.position))
        await unknown_devices.write(conn, unregistered, failed)


def _is_shown(external_id: str) -> bool:
    """Return whether a device can be listed by this id: short, printable, ASCII."""
    return (
        0 < len(external_id) <= MOST_ID_CHARACTERS
        and external_id.isascii()
        and external_id.isprintable()
        and external_id == external_id.strip()
    )


async def _read_positions(sightings: Sequence[_Sighting]) -> None:
    """Read the last credible position of each payload that has one. Others have turns meanwhile."""
    for start in range(0, len(sightings), _DECODED_AT_ONCE):
        some = sightings[start : start + _DECODED_AT_ONCE]
        try:
            _read_some(some)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001
            if len(some) > 1:
                for each in some:
                    await _read_positions([each])
            else:
                _log.error("a position of an unknown device is left out", exc_info=error)
        await asyncio.sleep(0)


def _read_some(sightings: Sequence[_Sighting]) -> None:
    forms = [Format[(each.format or "").upper()] for each in sightings]
    batch = decode([each.payload for each in sightings], forms).batch
    now_us = int(datetime.now(UTC).timestamp() * 1e6)
    for row in batch.rows[check_clock(batch, now_us)[0]]:
        time = to_datetime(int(row["time_us"]))
        place = LastPosition(float(row["lat"]), float(row["lon"]), time)
        sightings[row["message"]].position = place
