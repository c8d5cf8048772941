"""The files of a replay: zones and a trace, read whole. What is wrong in them is a StackError."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from geofence.geojson import ShapeError, ZoneFeature, ZoneFileError, read_shape, read_zones
from geofence.index import ZoneIndex, ZoneVersion
from geofence.shapes import Shape
from stack.errors import StackError
from telemetry.files import TraceError, read_trace
from telemetry.fix import FixBatch

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TraceFixes:
    """A whole trace. batch.rows["tracker"] is the place of the device in `devices`."""

    devices: list[str]
    batch: FixBatch


@dataclass(frozen=True, slots=True)
class ZoneSet:
    """Zones in order of their ids; the ordinal of a zone in `index` is its place in `zone_ids`."""

    zone_ids: list[str]
    index: ZoneIndex


def read_zone_file(path: Path) -> list[ZoneFeature]:
    try:
        with _opened(path) as file:
            return read_zones(file.read())
    except (OSError, EOFError, zlib.error, ZoneFileError) as error:
        raise StackError(f"{path}: {error}") from None


def zone_set_of(features: Sequence[ZoneFeature], warn: Warn) -> ZoneSet:
    """Zones in force since always; an invalid shape is repaired or left out, with a warning."""
    shapes: list[tuple[str, Shape]] = []
    for feature in sorted(features, key=lambda feature: feature.zone_id):
        shape = _shape(feature, warn)
        if shape is not None:
            shapes.append((feature.zone_id, shape))
    index = ZoneIndex(
        ZoneVersion(zone=number, version=1, organization=0, shape=shape)
        for number, (_, shape) in enumerate(shapes)
    )
    return ZoneSet([zone_id for zone_id, _ in shapes], index)


def _shape(feature: ZoneFeature, warn: Warn) -> Shape | None:
    try:
        return read_shape(feature.geometry, radius_m=feature.radius_m, width_m=feature.width_m)
    except ShapeError as error:
        if error.repaired is None:
            warn(f"zone {feature.zone_id} is left out: {error.problem}")
            return None
        warn(f"zone {feature.zone_id} is repaired: {error.problem}")
        return read_shape(error.repaired)


def read_trace_file(path: Path) -> TraceFixes:
    batches: list[FixBatch] = []
    devices: list[str] = []
    try:
        with _opened(path) as file:
            for chunk in read_trace(file):
                batches.append(chunk.batch)
                devices = chunk.devices
    except (OSError, EOFError, zlib.error, TraceError) as error:
        raise StackError(f"{path}: {error}") from None
    return TraceFixes(devices, FixBatch.concat(batches))


def _opened(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
