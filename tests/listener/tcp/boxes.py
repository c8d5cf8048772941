"""Boxes of Teltonika: packets in Codec 8, and a client that sends them as a box does."""

import asyncio
import random
import struct
from collections.abc import Sequence

from telemetry.formats.boxes.crc import crc_16
from tests.ingest.tenants import Tenant
from tests.listener.registering import claim, registered
from tests.listener.running import System

LAT, LON = 52.5, 13.4


def new_imei() -> str:
    """Return an IMEI that no other test has."""
    digits = f"35{random.SystemRandom().randrange(10**12):012}"
    luhn = [int(digit) for digit in digits]
    doubled = sum(n // 10 + n % 10 for n in (2 * digit for digit in luhn[1::2]))
    return digits + str(-(sum(luhn[::2]) + doubled) % 10)


async def claimed(tenant: Tenant) -> str:
    """Return the IMEI that a new tracker on an asset has claimed."""
    imei, vehicle = new_imei(), await registered(tenant)
    await claim(tenant, vehicle.tracker_id, imei)
    return imei


def record(time_ms: int, lat: float = LAT, lon: float = LON) -> bytes:
    """Return a record without IO elements."""
    place = (round(lon * 1e7), round(lat * 1e7), 30, 90, 9, 36)
    return struct.pack(">QBiihHBH", time_ms, 0, *place) + bytes(6)


def packet(records: Sequence[bytes]) -> bytes:
    count = bytes((len(records),))
    data = b"\x08" + count + b"".join(records) + count
    return struct.pack(">II", 0, len(data)) + data + struct.pack(">I", crc_16(data))


def login(imei: str) -> bytes:
    return struct.pack(">H", len(imei)) + imei.encode()


class Box:
    """A connection of a box."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connected(cls, system: System) -> "Box":
        return cls(*await asyncio.open_connection("127.0.0.1", system.teltonika_port))

    @classmethod
    async def signed_in(cls, system: System, imei: str) -> "Box":
        box = await cls.connected(system)
        assert await box.asked(login(imei), 1) == b"\x01"
        return box

    async def asked(self, data: bytes, size: int = 4) -> bytes:
        """Send, and return the answer of this size; less where the connection ends."""
        self.writer.write(data)
        try:
            return await self.reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            return error.partial
        except ConnectionResetError:
            return b""

    async def is_cut(self) -> bool:
        """Return once the connection has ended, whether nothing more was said."""
        return await self.reader.read() == b""

    def close(self) -> None:
        self.writer.close()
