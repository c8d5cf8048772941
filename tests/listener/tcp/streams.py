"""What devices over TCP send, and what a protocol makes of it."""

from collections.abc import Callable, Sequence

from listener.tcp.gt06 import Gt06
from listener.tcp.protocol import DeviceProtocol, Event, NoProtocol
from listener.tcp.queclink import Queclink
from listener.tcp.teltonika import MAX_DATA_BYTES, Teltonika
from tests.listener.tcp.boxes import login, packet, record

IMEI = "356938035643809"
ONE, TWO = packet([record(1_769_860_800_000)]), packet([record(1), record(2)])
TELTONIKA = login(IMEI) + ONE + b"\xff\xff" + TWO
# Examples of the makers' documents (Concox: GT06 1.8.1 and JM-VL03 1.1.2).
GT06_LOGIN = bytes.fromhex("78780d01012345678901234500018cdd0d0a")
GT06_HEARTBEAT = bytes.fromhex("78780a134004040001000fdcee0d0a")
GT06_POSITION = bytes.fromhex(
    "78781f120b081d112e10cf027ac7eb0c46584900148f01cc00287d001fb8000380810d0a"
)
GT06_CELLS = bytes.fromhex(
    "78783b2810010d02020201cc00287d001f713e287d001f7231287d001e232d287d001f401800000000000000"
    "0000000000000000000000ff00020005b14b0d0a"
)
GT06_ALARM = bytes.fromhex(
    "787825260f0c1d030b26c9027ac8180c4658600004000901cc00287d001f718004041302000c472a0d0a"
)
GT06 = GT06_LOGIN + GT06_HEARTBEAT + GT06_POSITION + GT06_CELLS + GT06_ALARM
# Examples of the maker's documents (TRACGL300AN001, and GV200's).
QUECLINK_HEARTBEAT = b"+ACK:GTHBD,1A0401,135790246811220,,20100214093254,11F0$"
QUECLINK_REPORT = (
    b"+RESP:GTFRI,020102,135790246811220,,0,0,1,1,4.3,92,70.0,121.354335,31.222073,20090214013254,"
    b"0460,0000,18d8,6141,00,,20090214093254,11F1$"
)
QUECLINK_ACK = b"+ACK:GTRTO,1A0800,135790246811220,GL300,VER,FFFF,20161006053520,0C19$"
QUECLINK = QUECLINK_HEARTBEAT + QUECLINK_REPORT + b"\r\n" + QUECLINK_ACK + QUECLINK_REPORT
STREAMS: Sequence[tuple[Callable[[], DeviceProtocol], bytes]] = (
    (Teltonika, TELTONIKA),
    (Gt06, GT06),
    (Queclink, QUECLINK),
)
LONGEST = MAX_DATA_BYTES + 12
"""The bytes of the longest frame that any of them takes."""


def events(protocol: DeviceProtocol, pieces: Sequence[bytes]) -> tuple[list[Event], bool]:
    """Return what a stream says, and whether it was no protocol from some byte on."""
    said: list[Event] = []
    for piece in pieces:
        protocol.receive(piece)
        try:
            while (event := protocol.next()) is not None:
                said.append(event)
        except NoProtocol:
            return said, True
        assert protocol.held_bytes <= LONGEST + len(piece)
    return said, False
