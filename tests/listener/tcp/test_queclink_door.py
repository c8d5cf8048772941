"""Devices of Queclink at the real door: stored before the answer, whatever happens."""

import asyncio
from datetime import UTC, datetime, timedelta

from telemetry.fix import Flag
from tests.ingest.tenants import Tenant
from tests.listener.running import System, running
from tests.listener.tcp.boxes import claimed
from tests.servers import DatabaseUnderTest
from tests.waiting import until

NOW = datetime.now(UTC).replace(microsecond=0)
STORED = "SELECT time, lat, lon, speed_mps, flags FROM gps_events ORDER BY time"
REPORTS = 400


def report(imei: str, number: int) -> bytes:
    """Return a report as the maker's documents have it, of one of the seconds before now."""
    time = f"{NOW - timedelta(seconds=REPORTS - number):%Y%m%d%H%M%S}"
    return (
        f"+RESP:GTFRI,020102,{imei},,0,0,1,1,18.0,92,70.0,121.354335,31.222073,{time},"
        f"0460,0000,18d8,6141,00,,{time},{number:04X}$"
    ).encode()


class Tracker:
    """A connection of a device."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connected(cls, system: System) -> "Tracker":
        return cls(*await asyncio.open_connection("127.0.0.1", system.queclink_port))

    async def asked(self, data: bytes) -> bytes:
        """Send, and return the answer; less where the connection ends."""
        self.writer.write(data)
        try:
            return await self.reader.readuntil(b"$")
        except asyncio.IncompleteReadError as error:
            return error.partial


async def test_a_report_is_stored_before_its_sack(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    with running(database) as system:
        tracker = await Tracker.connected(system)
        for _ in range(2):  # it is sent again
            assert await tracker.asked(report(imei, 7)) == b"+SACK:0007$"
            stored = (
                NOW - timedelta(seconds=REPORTS - 7),
                31.222073,
                121.354335,
                5.0,
                Flag.UNAUTHENTICATED,
            )
            assert tenant.rows(STORED) == [stored]
        beat = f"+ACK:GTHBD,020102,{imei},,{NOW:%Y%m%d%H%M%S},11F0$".encode()
        assert await tracker.asked(beat) == b"+SACK:GTHBD,020102,11F0$"
        state = f"+RESP:GTINF,020102,{imei},,41,,8,99,0,,20161216135038,00AB$".encode()
        assert await tracker.asked(state) == b"+SACK:00AB$"
        stranger = await Tracker.connected(system)
        assert await stranger.asked(report("135790246811220", 1)) == b""
        assert tenant.rows("SELECT count(*) FROM quarantine") == [(0,)]
        tracker.writer.close()


async def test_what_is_repeated_until_its_sack_is_there_once_whoever_is_killed(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    with running(database) as system:
        answered: list[int] = []

        async def send() -> None:
            tracker: Tracker | None = None
            while len(answered) < REPORTS:
                number = len(answered)
                try:
                    tracker = tracker or await Tracker.connected(system)
                    async with asyncio.timeout(5):
                        answer = await tracker.asked(report(imei, number))
                except (OSError, TimeoutError):
                    answer = b""
                if answer == f"+SACK:{number:04X}$".encode():
                    answered.append(number)
                elif tracker is not None:
                    tracker.writer.close()
                    tracker = None
                    await asyncio.sleep(0.1)

        async def kill() -> None:
            for role in (system.ingest, system.listener) * 2:
                wanted = len(answered) + 40
                await until(lambda wanted=wanted: len(answered) >= wanted)
                role.kill()
                await asyncio.to_thread(role.start)

        await asyncio.gather(send(), kill())
        assert len(tenant.rows(STORED)) == REPORTS
