"""The server's side of MQTT in microseconds per message (`extra_info`): QoS 1, 110 bytes.

From the bytes of a read to the bytes of its PUBACKs, with 1 and with 64 messages in a read.
"""

import pytest

from mqtt.server import ServerConnection
from tests.mqtt.server.packets import publish, signed_in

MESSAGES = 6_400
TOPIC = "trackers/trk_0123456789abcdefghjkmnpqrs/fixes"


def reads(version: int, messages_per_read: int) -> list[bytes]:
    packets = [
        publish(version, number % 65_535 + 1, b"x" * 110, topic=TOPIC) for number in range(MESSAGES)
    ]
    starts = range(0, MESSAGES, messages_per_read)
    return [b"".join(packets[at : at + messages_per_read]) for at in starts]


@pytest.mark.parametrize("messages_per_read", [1, 64])
@pytest.mark.parametrize("version", [4, 5])
def test_receive_settle_and_output(benchmark, version: int, messages_per_read: int) -> None:
    data = reads(version, messages_per_read)

    def answered_bytes(connection: ServerConnection) -> int:
        sent_bytes = 0
        for read in data:
            for event in connection.receive(read, 0.0):
                connection.settle(event[0], 0)
            sent_bytes += len(connection.output())
        return sent_bytes

    sent_bytes = benchmark.pedantic(
        answered_bytes, setup=lambda: ((signed_in(version),), {}), rounds=50, warmup_rounds=5
    )
    assert sent_bytes == 4 * MESSAGES  # a PUBACK each
    note_per_message(benchmark)


def note_per_message(benchmark) -> None:
    if benchmark.stats is not None:  # None with --benchmark-disable
        per_message_us = benchmark.stats.stats.median / MESSAGES * 1e6
        benchmark.extra_info["us_per_message"] = round(per_message_us, 2)
