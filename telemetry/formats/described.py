"""What is understood of a payload, field by field: for people who set a device up."""

from collections.abc import Iterator
from dataclasses import asdict

from telemetry.fix import OPTIONAL_COLUMNS, FixBatch
from telemetry.formats.decoded import Decoded
from telemetry.ids import format_id
from telemetry.punch import Punch
from telemetry.times import format_time


def described(decoded: Decoded) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield each fix, punch and refusal: which of these it is (`fix`, `punch`, `refused`), and its
    fields in our units.
    """
    for row in range(len(decoded.batch)):
        yield "fix", _fields(decoded.batch, row)
    for punch in decoded.punches:
        yield "punch", _fields_of_punch(punch)
    for refused in decoded.rejections:
        what = "the message" if refused.position is None else f"number {refused.position}"
        yield "refused", {"what": what, "reason": str(refused.reason), "detail": refused.detail}


def _fields(batch: FixBatch, row: int) -> dict[str, object]:
    values = batch.rows[row]
    fields: dict[str, object] = {
        "time": format_time(int(values["time_us"])),
        "lat": values["lat"].item(),
        "lon": values["lon"].item(),
        "seq": values["seq"].item(),
    }
    known = {
        name: values[name].item() for name, bit in OPTIONAL_COLUMNS.items() if values["known"] & bit
    }
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
