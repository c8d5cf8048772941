"""Punches of a batch: whose they are, and which of them could not be recorded.

They are judged in the transaction that stores them (`use_cases.punches.record`), where the evidence
is.
"""

from collections.abc import Container, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from db.punches.rows import Fate, NewPunch
from ingest.planning.decoded_batch import DecodedBatch
from ingest.registry.registry import Registry
from ingest.sources.source import released_id
from telemetry.ids import format_id
from telemetry.rejection import Reason, Rejection
from use_cases.punches.record import MAX_PUNCHES_PER_DAY

_REFUSED = {Fate.UNKNOWN_EMPLOYEE: Reason.UNKNOWN_EMPLOYEE, Fate.TOO_MANY: Reason.RATE}


class SentPunch(NamedTuple):
    """A punch with its place in the batch: the number of its message, and the place in its array;
    None where the message is one object.
    """

    message: int
    position: int | None
    new: NewPunch


def sent_punches(
    arrivals: DecodedBatch,
    senders: NDArray[np.int32],
    refused: Container[int],
    registry: Registry,
) -> list[SentPunch]:
    """Return the punches of messages that are not refused, with who sent them. senders: the tracker
    of each message, (n,).
    """
    found: list[SentPunch] = []
    for one in arrivals.decoded.punches:
        if one.message in refused:
            continue
        sender = int(senders[one.message])
        new = NewPunch(
            org_id=registry.organizations[registry.organization_of(sender)],
            employee_id=one.employee_id,
            kind=one.kind,
            claimed_us=one.time_us,
            received_us=arrivals.received_us,
            tracker_id=registry.trackers[sender],
            fix_time_us=one.fix_time_us,
            lat=one.lat,
            lon=one.lon,
            accuracy_m=one.accuracy_m,
            mock=one.mock,
            note=one.note,
            is_released=released_id(arrivals.messages[one.message]) is not None,
        )
        found.append(SentPunch(one.message, one.position, new))
    return found


def rejections(ends: Iterable[tuple[SentPunch, Fate]]) -> list[Rejection]:
    """Return the rejections of the punches that were not recorded."""
    return [
        Rejection(punch.message, punch.position, reason, _detail(punch.new, fate))
        for punch, fate in ends
        if (reason := _REFUSED.get(fate)) is not None
    ]


def _detail(punch: NewPunch, fate: Fate) -> str:
    employee = format_id("emp", punch.employee_id)
    if fate == Fate.TOO_MANY:
        return f"more than {MAX_PUNCHES_PER_DAY} punches of {employee} in a day"
    return f"no employee of the tracker's organization is {employee}"
