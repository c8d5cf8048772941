"""Boxes at the real ports for datagrams: stored before the answer, and strangers unheard."""

from datetime import UTC, datetime, timedelta

from telemetry.fix import Flag
from tests.ingest.tenants import Tenant
from tests.listener.registering import rows
from tests.listener.running import System
from tests.listener.tcp.boxes import claimed, new_imei, record
from tests.listener.tcp.streams import MEITRACK_REPORT
from tests.listener.tcp.test_queclink_door import report
from tests.listener.udp.datagrams import Radio, accepted, datagram
from tests.waiting import until

NOW_MS = 1_000 * int(datetime.now(UTC).timestamp())
STORED = "SELECT lat, lon, speed_mps, satellites, flags FROM gps_events ORDER BY time"
COUNT = "SELECT count(*), count(DISTINCT time) FROM gps_events"


async def test_a_datagram_is_answered_when_it_is_stored(system: System, tenant: Tenant) -> None:
    imei = await claimed(tenant)
    radio = Radio(system.teltonika_port)
    sent = datagram(imei, [record(NOW_MS), record(NOW_MS + 1_000)], number=27)
    for _ in range(2):  # it is sent again
        assert await radio.asked(sent) == accepted(2, number=27)
        stored = (52.5, 13.4, 10.0, 9, Flag.UNAUTHENTICATED)
        assert tenant.rows(STORED) == [stored, stored]
    radio.close()


async def test_strangers_and_rubbish_are_not_answered(system: System, tenant: Tenant) -> None:
    imei = await claimed(tenant)
    radio = Radio(system.teltonika_port)
    good = datagram(imei, [record(NOW_MS)])
    for data in (
        datagram(new_imei(), [record(NOW_MS)]),
        good[:-1],
        good + b"\0",
        b"",
        b"\xff",
        good + bytes(4_100),
    ):
        radio.send(data)
        assert await radio.heard() == b""
    assert tenant.rows(COUNT) == [(0, 0)]
    page = system.listener.page("/metrics")
    assert 'datagrams_total{protocol="teltonika",result="imei"}' in page
    assert 'datagrams_total{protocol="teltonika",result="too long"}' in page
    radio.close()


async def test_what_a_datagram_says_and_nobody_understands_is_kept_once_an_hour(
    system: System, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    radio, heartbeat = Radio(system.h02_port), f"*HQ,{imei},HTBT#".encode()
    assert await radio.asked(heartbeat) == heartbeat
    for number in range(3):
        radio.send(f"*HQ,{imei},XT,{number}#".encode())
    radio.send(heartbeat + b"$\x91\x80")
    kept = "SELECT seen FROM quarantine WHERE reason = 'undecodable' ORDER BY seen"
    await until(lambda: tenant.rows(kept) == [(1,), (3,)])
    radio.close()


async def test_who_sends_is_shown_and_has_the_places_of_its_imei(
    system: System, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    radios = [Radio(system.teltonika_port, f"127.0.0.{n}") for n in (2, 3, 4)]
    for number, radio in enumerate(radios[:2]):
        assert await radio.asked(datagram(imei, [record(NOW_MS + number)])) == accepted(1)
    radios[2].send(datagram(imei, [record(NOW_MS + 2)]))
    assert await radios[2].heard() == b""
    assert tenant.rows(COUNT) == [(2, 2)]
    shown = "SELECT host(address) FROM device_connections WHERE org_id = %s"
    await until(lambda: rows(tenant, shown, tenant.org_id) == [("127.0.0.2",)])
    for radio in radios:
        radio.close()


async def test_queclink_h02_and_meitrack_by_udp(system: System, tenant: Tenant) -> None:
    radio = Radio(system.queclink_port)
    assert await radio.asked(report(await claimed(tenant), 7)) == b"+SACK:0007$"
    radio.close()
    imei, at = await claimed(tenant), datetime.now(UTC) - timedelta(minutes=1)
    radio = Radio(system.h02_port)
    said = f"*HQ,{imei},V1,{at:%H%M%S},A,5230.0000,N,01324.0000,E,10.0,90,{at:%d%m%y},FFFFFBFF#"
    assert (await radio.asked(said.encode())).startswith(f"*HQ,{imei},V4,V1,2".encode())
    radio.close()
    imei, at = await claimed(tenant), at + timedelta(seconds=1)
    radio = Radio(system.meitrack_port)
    body = (
        f",{imei},AFF,0001,35,52.500000,13.400000,{at:%y%m%d%H%M%S},A,9,20,36,90,1,30,1,1,"
        "262|2|1|1,0000,|||0|0,*"
    )
    begin = f"$$A{len(body) + 4}{body}".encode()
    answer = await radio.asked(begin + b"%02X\r\n" % (sum(begin) & 255))
    assert answer.startswith(f"@@A27,{imei},AFF,1*".encode())
    radio.send(MEITRACK_REPORT)  # of nobody
    assert await radio.heard() == b""
    radio.close()
    assert len(tenant.rows(STORED)) == 3
