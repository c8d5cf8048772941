"""``opsc decode``: what a payload of a device says, field by field, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from telemetry.fix import OPTIONAL_COLUMNS, FixBatch
from telemetry.formats.decode import DECODERS, Decoded, Format
from telemetry.ids import format_id
from telemetry.punch import Punch
from telemetry.times import format_time

FormatName = Literal[
    "native",
    "packed",
    "punches",
    "owntracks",
    "teltonika",
    "osmand",
    "overland",
    "traccar",
    "chirpstack",
    "tts",
    "nmea",
    "teltonika_imei",
    "gt06",
    "queclink",
]


def decode(
    payload_format: Annotated[
        FormatName, typer.Argument(metavar="FORMAT", help="How the payload is written.")
    ],
    file: Annotated[
        typer.FileBinaryRead,
        typer.Argument(help="File of one message's payload; - reads it from standard input."),
    ],
) -> None:
    """Show what a payload of a device says. Exit code 1 if something of it is refused."""
    decoded = DECODERS[Format[payload_format.upper()]].decode([file.read()])
    for line in _lines(decoded):
        print(line)
    if decoded.rejections:
        raise typer.Exit(1)


def _lines(decoded: Decoded) -> Iterator[str]:
    for row in range(len(decoded.batch)):
        yield from _described("fix", _fields(decoded.batch, row))
    for punch in decoded.punches:
        yield from _described("punch", _fields_of_punch(punch))
    for refused in decoded.rejections:
        what = "the message" if refused.position is None else f"number {refused.position}"
        yield f"refused: {what}: {refused.reason}: {refused.detail}"
    if not (len(decoded.batch) or decoded.punches or decoded.rejections):
        yield "neither a fix nor a fault: the message is acknowledged and not kept"


def _described(title: str, fields: dict[str, object]) -> Iterator[str]:
    yield title
    yield from (f"  {name:<12} {value}" for name, value in fields.items())


def _fields(batch: FixBatch, row: int) -> dict[str, object]:
    values = batch.rows[row]
    fields: dict[str, object] = {
        "time": format_time(int(values["time_us"])),
        "lat": values["lat"],
        "lon": values["lon"],
        "seq": values["seq"],
    }
    known = {name: values[name] for name, bit in OPTIONAL_COLUMNS.items() if values["known"] & bit}
    attributes = batch.attributes.get(row)
    return fields | known | ({} if attributes is None else {"attributes": attributes.decode()})


def _fields_of_punch(punch: Punch) -> dict[str, object]:
    fix_time_us = punch.fix_time_us
    fields = asdict(punch) | {
        "employee_id": format_id("emp", punch.employee_id),
        "time": format_time(punch.time_us),
        "fix_time": None if fix_time_us is None else format_time(fix_time_us),
    }
    hidden = ("message", "position", "time_us", "fix_time_us")
    return {
        name: value for name, value in fields.items() if name not in hidden and value is not None
    }
