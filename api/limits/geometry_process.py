"""The process that checks large geometries: each in a child that is killed at its limits.

    python -m api.limits.geometry_process

It reads requests from stdin and writes answers to stdout, both with their length before them, one
after the other, until stdin ends. A child is forked for each, with everything loaded, and may use
`CPU_S` of the processor: a valid geometry of 100,000 vertices takes one second, a hostile one a
minute. An empty answer says that the child was killed, or failed.
"""

import os
import resource
import signal
import struct
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

import msgspec

from geofence.geometry.measures import Measures, measures
from geofence.geometry.packing import SLABS_FROM_VERTICES
from geofence.shapes.errors import ShapeError
from geofence.shapes.geojson import read_shape

CPU_S = 2
WALL_S = 10  # where the processor is busy with others
MEMORY_BYTES = 1024 * 1024 * 1024  # more than the process has before
_NICENESS = 10
_LENGTH = struct.Struct("<I")


class ShapeRequest(msgspec.Struct):
    """A geometry, and what goes with it."""

    geometry: dict[str, Any]
    radius_m: float | None
    width_m: float | None


class ShapeAnswer(msgspec.Struct):
    """The measures of a shape, or the attributes of the ShapeError."""

    measures: Measures | None = None
    problem: str = ""
    pointer: str = ""
    ring: int | None = None
    vertex: int | None = None
    position: tuple[float, float] | None = None
    repaired: Mapping[str, Any] | None = None

    def result(self) -> Measures:
        """Return the measures. Raises ShapeError where there are none."""
        if self.measures is not None:
            return self.measures
        raise ShapeError(
            self.problem,
            self.pointer,
            ring=self.ring,
            vertex=self.vertex,
            position=self.position,
            repaired=self.repaired,
        )


def framed(message: bytes) -> bytes:
    """Return a message with its length before it."""
    return _LENGTH.pack(len(message)) + message


def length_of(head: bytes) -> int:
    """Return the length of the message behind the first `HEAD_BYTES`."""
    return _LENGTH.unpack(head)[0]


HEAD_BYTES = _LENGTH.size


def judge(request: ShapeRequest) -> ShapeAnswer:
    """Read and measure one geometry."""
    try:
        shape = read_shape(request.geometry, radius_m=request.radius_m, width_m=request.width_m)
        return ShapeAnswer(measures(shape))
    except ShapeError as error:
        place = (error.ring, error.vertex, error.position, error.repaired)
        return ShapeAnswer(None, error.problem, error.pointer, *place)


def load_what_is_compiled() -> None:
    """Load compiled code, so that no child spends its time on loading or compiling."""
    teeth = [[number, 1 + number % 2] for number in range(SLABS_FROM_VERTICES)]
    ring = [[0, 0], *teeth, [SLABS_FROM_VERTICES, 0], [0, 0]]
    judge(ShapeRequest({"type": "Polygon", "coordinates": [ring]}, None, None)).result()


def main() -> None:
    """Answer until stdin ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # these are for the API, which then ends stdin
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    load_what_is_compiled()
    while (message := _read(sys.stdin.buffer)) is not None:
        sys.stdout.buffer.write(framed(_in_a_child(message)))
        sys.stdout.buffer.flush()


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(HEAD_BYTES)
    return stream.read(length_of(head)) if len(head) == HEAD_BYTES else None


def _in_a_child(message: bytes) -> bytes:
    """Return the answer; empty where the child came to no end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(message, writing)
    os.close(writing)
    with open(reading, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(child, 0)
    return answer if status == 0 else b""


def _answer(message: bytes, writing: int) -> None:
    """Answer in the child, and end it. What it raises ends it with a traceback on stderr."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _limit()
    answer = judge(msgspec.json.decode(message, type=ShapeRequest))
    with open(writing, "wb") as stream:
        stream.write(msgspec.json.encode(answer))
    os._exit(0)


def _limit() -> None:
    with open("/proc/self/statm") as statm:
        has_bytes = int(statm.read().split()[0]) * resource.getpagesize()
    most_bytes = has_bytes + MEMORY_BYTES
    for limit, value in (
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_AS, most_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    signal.alarm(WALL_S)


if __name__ == "__main__":
    main()
