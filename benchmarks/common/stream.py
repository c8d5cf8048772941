"""Prebuilt PUBLISH packets in a folder: what a load generator's connections send, in order.

Each connection carries the same number of trackers, all messages of a tracker on one connection, so
that a tracker's fixes arrive in order.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.packets import publish_head
from benchmarks.common.payloads import Clock, Form, fix_offsets, fix_texts, joined, topic

PACKET_IDS = 65_535


@dataclass(frozen=True, slots=True)
class Share:
    """The share of one connection: `packets`, message k ending at `ends[k]`, with its clock.

    tracker: the number of the first message's; who signs in.
    """

    packets: NDArray[np.uint8]
    ends: list[int]
    clock: Clock
    tracker: int


@dataclass(frozen=True, slots=True)
class Stream:
    """The shares of all connections; after a whole pass the clocks move on by `span_us`."""

    shares: list[Share]
    span_us: int


def write_stream(
    folder: Path, messages: NDArray[np.void], form: Form, connections: int, span_us: int
) -> None:
    """Build the packets of `messages`, shape (messages, fixes_per_message), in order of sending."""
    folder.mkdir(parents=True)
    trackers = messages["tracker"][:, 0]
    for connection in range(connections):
        own = messages[trackers % connections == connection]
        _write_share(folder / f"{connection:03}", own, form)
    np.savez(folder / "stream.npz", connections=connections, span_us=span_us, form=form.value)


def read_stream(folder: Path) -> Stream:
    """Read what `write_stream` wrote."""
    with np.load(folder / "stream.npz") as head:
        form, connections = Form(str(head["form"])), int(head["connections"])
        shares = [_read_share(folder / f"{number:03}", form) for number in range(connections)]
        return Stream(shares, int(head["span_us"]))


def _write_share(path: Path, messages: NDArray[np.void], form: Form) -> None:
    per_message = messages.shape[1]
    texts = fix_texts(messages.reshape(-1), form)
    packets = bytearray()
    ends: list[int] = []
    starts: list[int] = []
    for number, tracker in enumerate(messages["tracker"][:, 0].tolist()):
        fixes = texts[number * per_message : (number + 1) * per_message]
        payload = joined(fixes, form)
        packets += publish_head(topic(tracker, form), number % PACKET_IDS + 1, len(payload))
        starts.extend(len(packets) + offset for offset in fix_offsets(fixes, form))
        packets += payload
        ends.append(len(packets))
    path.with_suffix(".bin").write_bytes(packets)
    np.savez(
        path.with_suffix(".npz"),
        ends=np.array(ends, np.int64),
        starts=np.array(starts, np.int64),
        times_us=messages["time_us"].reshape(-1),
        trackers=messages["tracker"][:, 0],
    )


def _read_share(path: Path, form: Form) -> Share:
    packets = np.fromfile(path.with_suffix(".bin"), np.uint8)
    with np.load(path.with_suffix(".npz")) as index:
        clock = Clock(packets, index["starts"], index["times_us"], form)
        return Share(packets, index["ends"].tolist(), clock, int(index["trackers"][0]))
