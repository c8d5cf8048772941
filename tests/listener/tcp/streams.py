"""What devices over TCP send, and what a protocol makes of it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from listener.tcp.gt06 import Gt06
from listener.tcp.h02 import H02
from listener.tcp.meitrack import Meitrack
from listener.tcp.protocol import DeviceProtocol, Event, NoProtocol
from listener.tcp.queclink import Queclink
from listener.tcp.teltonika import MAX_DATA_BYTES, Teltonika, TeltonikaDatagram
from tests.listener.tcp.boxes import login, packet, record

IMEI = "356938035643809"
ONE, TWO = packet([record(1_769_860_800_000)]), packet([record(1), record(2)])
# Examples of the maker's page on Codec 12 (getinfo, getio and their answers), and two answers of
# the tests of Traccar: a text that ends a line, and bytes that are none.
TELTONIKA_GETINFO = bytes.fromhex("000000000000000f0c010500000007676574696e666f0100004312")
TELTONIKA_GETIO = bytes.fromhex("000000000000000d0c010500000005676574696f01000000cb")
TELTONIKA_INFO = bytes.fromhex(
    "00000000000000900c010600000088494e493a323031392f372f323220373a3232205254433a323031392f372f32"
    "3220373a3533205253543a32204552523a312053523a302042523a302043463a302046473a3020464c3a30205455"
    "3a302f302055543a3020534d533a30204e4f4750533a303a3330204750533a31205341543a302052533a33205246"
    "3a36352053463a31204d443a30010000c78f"
)
TELTONIKA_IO = bytes.fromhex(
    "00000000000000370c01060000002f4449313a31204449323a30204449333a302041494e313a302041494e323a31"
    "3639323420444f313a3020444f323a3101000066e3"
)
TELTONIKA_LINE = bytes.fromhex(
    "000000000000004f0c01060000004755555555777730362e343b30342e323b30302e303b30302e303b30302e303b"
    "30302e303b30302e303b30302e303b30312e333b30302e303b31302e373b30302e303b5353530d0a010000e371"
)
TELTONIKA_BYTES = bytes.fromhex("00000000000000100c010600000008010300010015d5c5010000d988")
TELTONIKA = login(IMEI) + ONE + b"\xff\xff" + TELTONIKA_INFO + TWO
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
# Of the tests of Traccar: a command, an answer in each of the three ways. The address in the second
# one was changed before it was published, so its CRC is ours.
GT06_RELAY = bytes.fromhex("787812800c0000000052656c61792c312300009dee0d0a")
GT06_ICCID = bytes.fromhex(
    "7878281520000000003c49434349443a38393838323339303030303039373330323635303e00020d446f260d0a"
)
GT06_STATUS = bytes.fromhex(
    "7979006f210000000001426174746572793a352e3536562c4e4f524d414c3b20475052532a4c696e6b2055702047"
    "534d205369676e616c204c6576656c3a5374726f6e673b204750533a4f46463b2020204c4f434b3a4f46463b2042"
    "54204d41433a4234413832383034343436323b00725f9b0d0a"
)
GT06_ERROR = bytes.fromhex(
    "797900262100000000020043006f006d006d0061006e00640020006500720072006f0072002100236e850d0a"
)
GT06 = GT06_LOGIN + GT06_HEARTBEAT + GT06_POSITION + GT06_CELLS + GT06_ICCID + GT06_ALARM
# Examples of the maker's documents (TRACGL300AN001, and GV200's).
QUECLINK_HEARTBEAT = b"+ACK:GTHBD,1A0401,135790246811220,,20100214093254,11F0$"
QUECLINK_REPORT = (
    b"+RESP:GTFRI,020102,135790246811220,,0,0,1,1,4.3,92,70.0,121.354335,31.222073,20090214013254,"
    b"0460,0000,18d8,6141,00,,20090214093254,11F1$"
)
QUECLINK_ACK = b"+ACK:GTRTO,1A0800,135790246811220,GL300,VER,FFFF,20161006053520,0C19$"
QUECLINK = QUECLINK_HEARTBEAT + QUECLINK_REPORT + b"\r\n" + QUECLINK_ACK + QUECLINK_REPORT
# Frames of devices in Traccar's tests (H02ProtocolDecoderTest).
H02_REPORT = (
    b"*HQ,353588020068342,V1,084436,A,3257.01525,N,00655.03865,W,57.78,40,011216,FFFBFFFF,25c,a,"
    b" 154,b04c#"
)
H02_OTHER = (
    b"*TH,353588020068342,V4,S17,130305,050316,A,2212.8745,N,11346.6574,E,14.28,028,220902,"
    b"FFFFFBFF#"
)
H02_CELLS = b"*HQ,353588020068342,NBR,112315,724,10,2,2,215,2135,123,215,2131,121,011215,FFFFFFFF#"
H02_HEARTBEAT = b"*HQ,353588020068342,HTBT,100#"
H02_SENTENCES = H02_REPORT + b"\r\n" + H02_HEARTBEAT + H02_CELLS + H02_OTHER
# Frames of devices in Traccar's tests (MeitrackProtocolDecoderTest); the checksum of AFF is put
# right.
MEITRACK_REPORT = (
    b"$$D149,867047043162018,AAA,35,-1.264865,36.800705,211001105240,A,9,20,41.0,323,1,1697,1,0,"
    b"000|00||,0000,4.33|12.96|1.92|2.72|2.69,0.000000|0|0.000000,*E1\r\n"
)
MEITRACK_CONFIRMED = (
    b"$$J163,123123123123123,AFF,0004,35,58.588926,16.180473,140928192856,A,10,27,0,161,1.2,19,"
    b"1648894,435695,240|24|88B9|E435,0000,|||0A22|0000,00000001,,50,,,,,,,,,,,,,*52\r\n"
)
MEITRACK_SEVERAL = bytes.fromhex(
    "24245838362c3336393830303031343039303032312c4343432c020134000100000023381f91ffe354b806c5e3121b"
    "0009130000000000000000d33801007cbf0200fe0101000435feeb02000500a3010000000000002a62650d0a"
)
MEITRACK_ANSWER = b"$$D28,353358017784062,D03,OK*F3\r\n"
MEITRACK = MEITRACK_REPORT + MEITRACK_CONFIRMED + MEITRACK_SEVERAL + MEITRACK_ANSWER
# The maker's example ("Teltonika Data Sending Protocols", AVL packet over UDP).
TELTONIKA_DATAGRAM = bytes.fromhex(
    "00a1cafe011b000f33353633303730343234343130313308010000013febdd19c8000f0e9ff0209a71800069000012"
    "0000001e09010002000300040016014703f0001504c8000c0900910a00440b004d130044431555440000b5000bb600"
    "05422e9b180000cd0386ce000107c700000000f10000601a460000013c4800000bb84900000bb84a00000bb84c0000"
    "0000024e0000000000000000cf000000000000000001"
)
NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def h02() -> H02:
    return H02(lambda: NOW)


def gt06() -> Gt06:
    return Gt06(lambda: NOW)


STREAMS: Sequence[tuple[Callable[[], DeviceProtocol], bytes]] = (
    (Teltonika, TELTONIKA),
    (gt06, GT06),
    (Queclink, QUECLINK),
    (h02, H02_SENTENCES),
    (Meitrack, MEITRACK),
)
DATAGRAMS: Sequence[tuple[Callable[[], DeviceProtocol], bytes]] = (
    *((make, stream) for make, stream in STREAMS if make not in (Teltonika, gt06)),
    (TeltonikaDatagram, TELTONIKA_DATAGRAM),
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
