"""The process that judges stored fixes by a zone that is not there, each trial in a child that is
killed at its limits.

    python -m api.trials.trial_process

200,000 fixes take a fraction of a second. The engine is that of ingest.
"""

from collections import Counter
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.limits.forking_process import ChildLimits, serve
from api.trials.zone_trials import (
    FIX_DTYPE,
    MOST_FOUND,
    FoundTransition,
    TrialAnswer,
    TrialCounts,
    TrialRequest,
)
from geofence.judging.evaluator import evaluate
from geofence.judging.state import State
from geofence.judging.warmup import prepare
from geofence.model.no_fix_events import MOVE_DTYPE, SCHEDULE_START_DTYPE, Agenda
from geofence.model.policy import BREACH, Policy, event_type, schedule_start_breach
from geofence.model.rules import Gates, Rules
from geofence.model.schedule import opens_between, parse_schedule
from geofence.model.transitions import (
    CAUSE_WORDS,
    INFERRED_WORDS,
    TRANSITION_WORDS,
    Inferred,
    Transition,
)
from geofence.shapes.stored import StoredShape, read_stored
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch, Known, blank_rows

LIMITS = ChildLimits(cpu_s=5, wall_s=20, memory_bytes=1024 * 1024 * 1024)
_MINUTE_US = 60_000_000


def judge(request: TrialRequest) -> TrialAnswer:
    """Judge the fixes as if each asset's first one were the first that it ever sent."""
    policy = _policy(request)
    shape = StoredShape(request.wkb, request.radius_m, request.width_m)
    version = ZoneVersion(
        zone=0,
        version=1,
        organization=0,
        shape=read_stored([shape])[0],
        rules=Rules(**request.rules),
        remembers_exits=policy.kind == "allowed",
    )
    gates = Gates(
        np.array(request.max_speed_mps, np.float64),
        max_accuracy_m=np.full(len(request.max_speed_mps), request.max_accuracy_m),
    )
    agenda = Agenda(np.empty(0, MOVE_DTYPE), _schedule_starts(policy, request))
    batch = _batch(np.frombuffer(request.fixes, FIX_DTYPE))
    evaluation = evaluate(batch, State(), ZoneIndex([version]), request.until_us, gates, agenda)
    found = evaluation.transitions
    # Of a machine with more fixes than were read nothing is known after the last of these.
    judged_to_us = np.array(request.judged_to_us, np.int64)
    found = found[found["time_us"] <= judged_to_us[found["asset"]]]
    found = found[np.argsort(found["time_us"], kind="stable")]
    types = _event_types(policy, found)
    return TrialAnswer(_first(found, types), _counts(found, types), len(found) > MOST_FOUND)


def _policy(request: TrialRequest) -> Policy:
    return Policy(
        kind=request.kind,
        alert_on=None if request.alert_on is None else frozenset(request.alert_on),
        schedule=None if request.schedule is None else parse_schedule(request.schedule),
    )


def _schedule_starts(policy: Policy, request: TrialRequest) -> NDArray[np.void]:
    sides = [side for side in (True, False) if schedule_start_breach(policy, inside=side)]
    if policy.schedule is None or not sides:
        return np.empty(0, SCHEDULE_START_DTYPE)
    opens_us = opens_between(policy.schedule, request.since_us, request.until_us)
    return np.array([(0, at_us, 0, sides[0]) for at_us in opens_us], SCHEDULE_START_DTYPE)


def _batch(fixes: NDArray[np.void]) -> FixBatch:
    rows = blank_rows(len(fixes))
    for column in ("asset", "tracker", "time_us", "seq", "lat", "lon"):
        rows[column] = fixes[column]
    rows["organization"] = 0
    for column, bit in (("accuracy_m", Known.ACCURACY), ("speed_mps", Known.SPEED)):
        known = ~np.isnan(fixes[column])
        rows[column] = np.where(known, fixes[column], 0)
        rows["known"][known] |= np.uint8(bit)
    return FixBatch(rows)


def _event_types(policy: Policy, found: NDArray[np.void]) -> list[str | None]:
    """Return the type of the event of each; asked once for those that are alike: hours begin and
    end on full minutes.
    """
    known: dict[tuple[int, ...], str | None] = {}
    types: list[str | None] = []
    minutes = found["time_us"] // _MINUTE_US * (policy.schedule is not None)
    columns = (found[name].tolist() for name in ("transition", "cause", "inferred", "returning"))
    for alike in zip(*columns, minutes.tolist(), strict=True):
        if alike not in known:
            known[alike] = _event_type(policy, *alike)
        types.append(known[alike])
    return types


def _event_type(
    policy: Policy, transition: int, cause: int, inferred: int, returning: bool, minute: int
) -> str | None:
    if transition == Transition.SCHEDULE:
        return BREACH
    return event_type(
        policy,
        TRANSITION_WORDS[transition],
        CAUSE_WORDS[cause],
        INFERRED_WORDS[inferred],
        minute * _MINUTE_US,
        left_before=returning,
    )


def _first(found: NDArray[np.void], types: list[str | None]) -> list[FoundTransition]:
    names = ("asset", "transition", "time_us", "lat", "lon", "cause", "inferred")
    columns = (found[name][:MOST_FOUND].tolist() for name in names)
    return [
        FoundTransition(
            asset,
            TRANSITION_WORDS[transition],
            time_us,
            lat,
            lon,
            CAUSE_WORDS[cause],
            INFERRED_WORDS[inferred],
            kind,
        )
        for asset, transition, time_us, lat, lon, cause, inferred, kind in zip(
            *columns, types[:MOST_FOUND], strict=True
        )
    ]


def _counts(found: NDArray[np.void], types: list[str | None]) -> TrialCounts:
    words: Mapping[str, int] = Counter(
        TRANSITION_WORDS[one] for one in found["transition"].tolist()
    )
    passes = (found["transition"] == Transition.ENTER) & (found["inferred"] == Inferred.SEGMENT)
    return TrialCounts(
        enter=words["enter"],
        exit=words["exit"],
        dwell=words["dwell"],
        overspeed=words["overspeed"],
        pass_through=int(np.count_nonzero(passes)),
        alerts=len(types) - types.count(None),
    )


def _answer(message: bytes) -> bytes:
    return msgspec.msgpack.encode(judge(msgspec.msgpack.decode(message, type=TrialRequest)))


if __name__ == "__main__":
    serve(prepare, _answer, LIMITS)
