"""``opsc decode``: what a payload of a device says, field by field, without a server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
import typer

from telemetry.formats.decode import DECODERS, Decoded, Format
from telemetry.formats.described import described
from telemetry.formats.gateways.generic import Mapping, enveloped

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
    "h02",
    "meitrack",
    "generic",
]


def decode(
    payload_format: Annotated[
        FormatName, typer.Argument(metavar="FORMAT", help="How the payload is written.")
    ],
    file: Annotated[
        typer.FileBinaryRead,
        typer.Argument(help="File of one message's payload; - reads it from standard input."),
    ],
    mapping: Annotated[
        typer.FileBinaryRead | None,
        typer.Option(help="File with the mapping of a generic gateway, as its PATCH has it."),
    ] = None,
) -> None:
    """Show what a payload of a device says. Exit code 1 if something of it is refused."""
    payload = file.read()
    if mapping is not None:
        payload = _enveloped(mapping.read(), payload)
    decoded = DECODERS[Format[payload_format.upper()]].decode([payload])
    for line in _lines(decoded):
        print(line)
    if decoded.rejections:
        raise typer.Exit(1)


def _enveloped(mapping: bytes, payload: bytes) -> bytes:
    """Return a message as ingest gets it, received now."""
    try:
        read = msgspec.json.decode(mapping, type=Mapping)
    except ValueError as error:
        raise typer.BadParameter(f"no mapping of a gateway: {error}") from None
    return enveloped(read, payload, time.time_ns() // 1_000_000)


def _lines(decoded: Decoded) -> Iterator[str]:
    nothing = True
    for what, fields in described(decoded):
        nothing = False
        if what == "refused":
            yield "refused: {what}: {reason}: {detail}".format(**fields)
        else:
            yield what
            yield from (f"  {name:<12} {value}" for name, value in fields.items())
    if nothing:
        yield "neither a fix nor a fault: the message is acknowledged and not kept"
