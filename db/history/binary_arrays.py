"""Arrays as parameters of statements, packed by numpy in PostgreSQL's binary format.

psycopg dumps a list value by value, a microsecond each. Here an array of fixed width is packed as a
whole, for a few nanoseconds a value. The statement has to name the type: `%s::uuid[]`. (Format:
`array_send` in PostgreSQL's sources.)
"""

import struct
from typing import LiteralString, NamedTuple

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01T00:00:00Z


class ElementType(NamedTuple):
    """A type of PostgreSQL, and how numpy packs its values."""

    name: LiteralString
    oid: int
    dtype: LiteralString


UUID = ElementType("uuid", 2950, "V16")
TIMESTAMPTZ = ElementType("timestamptz", 1184, ">i8")  # microseconds since POSTGRES_EPOCH_US
BOOL = ElementType("bool", 16, "?")
INT2 = ElementType("int2", 21, ">i2")
INT4 = ElementType("int4", 23, ">i4")
FLOAT4 = ElementType("float4", 700, ">f4")
FLOAT8 = ElementType("float8", 701, ">f8")


class BinaryArray(bytes):
    """An array that is packed already."""


class _BinaryArrayDumper(Dumper):
    """A dumper that sends the bytes as they are: their type is that of the cast."""

    format = Format.BINARY

    def dump(self, obj: BinaryArray) -> bytes:
        return obj


psycopg.adapters.register_dumper(BinaryArray, _BinaryArrayDumper)


def packed_array(values: NDArray[np.generic], kind: ElementType) -> BinaryArray:
    """Return a one-dimensional array without NULLs; a statement may turn NaN into NULL."""
    elements = np.empty(len(values), [("length", ">i4"), ("value", kind.dtype)])
    elements["length"] = elements.dtype["value"].itemsize
    elements["value"] = values
    dimensions = 1 if len(values) else 0
    head = struct.pack(">iii", dimensions, 0, kind.oid)
    if dimensions:
        head += struct.pack(">ii", len(values), 1)
    return BinaryArray(head + elements.tobytes())
