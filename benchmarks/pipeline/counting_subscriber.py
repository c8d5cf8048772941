"""A subscriber that only counts and acknowledges: the least that any ingest can cost the broker.

    python -m benchmarks.pipeline.counting_subscriber GAUGES PORT FILTER

Prints "subscribed" once it is, then keeps the gauge RECEIVED until it is ended by a signal.
"""

import socket
import sys
import time
from pathlib import Path

from benchmarks.common.gauges import Cell, Gauges
from benchmarks.common.packets import CONNACK_BYTES, connect, subscribe

SUBACK_BYTES = 5
BUFFER_BYTES = 1 << 20
PAUSE_S = 0.001  # lets messages gather: a write per acknowledgement would slow the broker down
PUBLISH_QOS1 = 0x32
DUP = 0x08


def acknowledgements(received: memoryview) -> tuple[bytes, int]:
    """Return PUBACKs for the whole PUBLISH packets in `received`, and how many bytes those took."""
    packet_ids = bytearray()
    position, size = 0, len(received)
    while position + 2 <= size:
        at, shift, length = position + 1, 0, 0
        while at < size:
            group = received[at]
            length |= (group & 0x7F) << shift
            at += 1
            shift += 7
            if group < 0x80:
                break
        else:
            break
        if at + length > size:
            break
        if received[position] & ~DUP != PUBLISH_QOS1:
            raise ValueError(f"not a PUBLISH at QoS 1: {received[position]:#x}")
        packet_id = at + 2 + (received[at] << 8 | received[at + 1])
        packet_ids += b"\x40\x02"
        packet_ids += received[packet_id : packet_id + 2]
        position = at + length
    return bytes(packet_ids), position


def run(gauges: Gauges, port: int, topic_filter: str) -> None:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(connect("bench-counting"))
    connection.recv(CONNACK_BYTES, socket.MSG_WAITALL)
    connection.sendall(subscribe(topic_filter))
    connection.recv(SUBACK_BYTES, socket.MSG_WAITALL)
    connection.settimeout(None)
    print("subscribed", flush=True)
    buffer = memoryview(bytearray(BUFFER_BYTES))
    held = total = 0
    while size := connection.recv_into(buffer[held:]):
        acks, used = acknowledgements(buffer[: held + size])
        held = held + size - used
        buffer[:held] = bytes(buffer[used : used + held])
        connection.sendall(acks)
        total += len(acks) // 4
        gauges[Cell.RECEIVED] = total
        time.sleep(PAUSE_S)
    raise ConnectionError("the broker closed the connection")


if __name__ == "__main__":
    run(Gauges(Path(sys.argv[1])), int(sys.argv[2]), sys.argv[3])
