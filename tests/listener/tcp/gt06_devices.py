"""Devices that speak GT06: frames, and a client that sends them as a device does."""

import asyncio
from datetime import datetime

from telemetry.formats.boxes.crc import crc_itu
from tests.listener.running import System

PLACE = bytes.fromhex("cf027ac7eb0c46584900148f01cc00287d001fb8")
"""A place of an example of the maker's document: satellites, coordinates, speed, course, cell."""
LAT, LON = 0x027AC7EB / 1_800_000, 0x0C465849 / 1_800_000


def frame(kind: int, content: bytes, serial: int = 1, *, is_long: bool = False) -> bytes:
    length = (len(content) + 5).to_bytes(2 if is_long else 1)
    checked = length + bytes((kind,)) + content + serial.to_bytes(2)
    begin = b"\x79\x79" if is_long else b"\x78\x78"
    return begin + checked + crc_itu(checked).to_bytes(2) + b"\r\n"


def position(at: datetime, serial: int = 1) -> bytes:
    date = bytes((at.year - 2000, at.month, at.day, at.hour, at.minute, at.second))
    return frame(0x12, date + PLACE, serial)


class Tracker:
    """A connection of a device."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connected(cls, system: System) -> "Tracker":
        return cls(*await asyncio.open_connection("127.0.0.1", system.gt06_port))

    @classmethod
    async def signed_in(cls, system: System, imei: str) -> "Tracker":
        tracker = await cls.connected(system)
        assert await tracker.asked(login(imei)) == frame(0x01, b"")
        return tracker

    async def asked(self, data: bytes) -> bytes:
        """Send, and return the answer; less where the connection ends."""
        self.writer.write(data)
        return await self.reader.read(10)


def login(imei: str) -> bytes:
    return frame(0x01, bytes.fromhex(f"0{imei}"))
