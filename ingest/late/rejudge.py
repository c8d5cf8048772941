"""Late fixes put in their place: the changes of their assets' visits, and the events about them.

The past of each asset is read from the database (`ingest.late.lookup`), judged by
`geofence.late.history` with the late fixes in it, and forgotten again.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.history.gps_events import FixKey
from db.history.visits import VisitRow
from db.ingest import checkpoints as stored
from db.ingest.asset_backlogs import Backlog
from db.ingest.checkpoints import Checkpoint
from geofence.judging.evaluator import NO_TIMERS_US
from geofence.judging.state import State, StateDelta
from geofence.late.amendments import AnnouncedState, VisitKey
from geofence.late.history import History, Unsettled
from geofence.late.revision import Revision
from geofence.late.segments import Circumstances
from geofence.zones.versions import MAX_TIME_US
from ingest.events.detected import AFTER_FIXES, BEFORE_FIXES, DetectedEvent, FlagsOf
from ingest.events.transition_rows import TransitionRow
from ingest.late import rows as late_rows
from ingest.late.lookup import LONGEST_PIECE, AssetPast, LateSpan, Lookup
from ingest.registry.registry import Registry
from ingest.saved_states import checkpoints
from telemetry.fix import FixBatch, Flag


class Spent(NamedTuple):
    """The number of late fixes, the seconds of processor time that judging them took, and the rows
    of visits and events that they change.
    """

    fixes: int = 0
    took_s: float = 0.0
    rows: int = 0


@dataclass(slots=True)
class Rejudged:
    """The rows to write for late fixes, and the state afterwards."""

    fixes: int = 0
    """The number of judged fixes, including those in order of the same assets."""
    suspects: int = 0
    """How many of `fixes` are suspect."""
    states: list[StateDelta] = field(default_factory=list[StateDelta])
    """The states of the assets, as of now."""
    announced: dict[UUID, AnnouncedState | None] = field(
        default_factory=dict[UUID, AnnouncedState | None]
    )
    """Changes of `Memory.announced`; None for an entry to forget."""
    used_names: dict[int, set[VisitKey]] = field(default_factory=dict[int, set[VisitKey]])
    """Changes of `Memory.used_names`; an empty set for an entry to forget."""
    visits: list[VisitRow] = field(default_factory=list[VisitRow])
    events: list[DetectedEvent] = field(default_factory=list[DetectedEvent])
    suspect: dict[FixKey, bool] = field(default_factory=dict[FixKey, bool])
    """The stored fixes whose flag `suspect` changes, with the new flag."""
    outdated: list[stored.OutdatedSpan] = field(default_factory=list[stored.OutdatedSpan])
    """The spans of time whose checkpoints are wrong."""
    checkpoints: list[Checkpoint] = field(default_factory=list[Checkpoint])
    checkpointed: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Asset and time_us of the last checkpoint of each asset."""
    backlogs: dict[int, Backlog | None] = field(default_factory=dict[int, Backlog | None])
    """The rest of each backlog of which a piece was judged; None if nothing is left."""
    spent: dict[int, Spent] = field(default_factory=dict[int, Spent])
    """By organization, what its late fixes cost."""


def judge(
    batch: FixBatch,
    past: Mapping[int, AssetPast],
    state: State,
    working_state: State,
    registry: Registry,
    now_us: tuple[int, int],
) -> Rejudged | Lookup:
    """Judge the fixes of assets whose past is known, and set their flag `suspect`.

    working_state: see `geofence.late.history`. now_us: up to when deadlines have fallen due, and
    the clock. Returns what to look up where the past does not reach far enough.
    """
    rejudged, due_us = Rejudged(), now_us[0]
    rows = batch.rows
    unsettled: dict[int, LateSpan] = {}
    for asset, own in rows_by_asset(rows, list(past)):
        known, began_s = past[asset], time.thread_time()
        rows_before = len(rejudged.visits) + len(rejudged.events)
        rejudged.fixes += len(own)
        until_us = int(rows["time_us"][own].max(initial=due_us))
        agenda = registry.agenda_since(asset, known.since_us, until_us)
        circumstances = Circumstances(registry.index, registry.gates, agenda)
        history = History(asset, working_state, known.before, known.end)
        try:
            revisions = list(_revisions(history, known, rows[own], state, due_us, circumstances))
        except Unsettled:
            if known.backlog is not None:
                return Lookup(backlog=known.backlog, length=2 * known.length)
            unsettled[asset] = known.span.deeper()
            continue
        _flag(rows, own, revisions, rejudged, registry)
        flags_of = partial(_flags_of, rows, known)
        _write(history, revisions, own.tolist(), rejudged, registry, now_us[1], flags_of)
        _mark(history, known, rejudged, registry)
        if known.more_follow:
            rejudged.backlogs[asset] = _rest(history, known.backlog, rejudged, registry)
        elif known.end is None:
            _keep(history, rejudged, registry)
        if known.backlog is not None:
            rejudged.backlogs.setdefault(asset, None)
        else:
            organization = registry.organization_of_asset(asset)
            before = rejudged.spent.get(organization, Spent())
            rejudged.spent[organization] = Spent(
                before.fixes + len(own),
                before.took_s + time.thread_time() - began_s,
                before.rows + len(rejudged.visits) + len(rejudged.events) - rows_before,
            )
    return Lookup(assets=unsettled) if unsettled else rejudged


def rows_by_asset(
    rows: NDArray[np.void], assets: Sequence[int]
) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield the numbers of each asset's rows (FIX_DTYPE), in order."""
    order = np.argsort(rows["asset"], kind="stable")
    asset = rows["asset"][order]
    begin, end = np.searchsorted(asset, assets), np.searchsorted(asset, assets, "right")
    for one, first, last in zip(assets, begin.tolist(), end.tolist(), strict=True):
        yield one, order[first:last]


def _revisions(
    history: History,
    known: AssetPast,
    rows: NDArray[np.void],
    state: State,
    due_us: int,
    circumstances: Circumstances,
) -> Iterator[Revision]:
    """Recall the stored past, then judge fix by fix, then what has fallen due."""
    assert known.rows is not None
    if known.backlog is not None:
        until_us = NO_TIMERS_US if known.more_follow else _before(rows, due_us)
        yield history.catch_up(
            known.rows,
            known.visits,
            until_us,
            circumstances,
            judged_us=known.backlog.judged_us or NO_TIMERS_US,
            more_follow=known.more_follow,
            may_disagree=known.length >= LONGEST_PIECE,
        )
    else:
        asset = state.assets[history.asset]
        is_ahead = asset["clock_us"] > asset["newest_us"]
        until_us = int(asset["clock_us"]) if is_ahead else NO_TIMERS_US
        yield history.recall(known.rows, known.visits, until_us, circumstances)
    yield from history.take_all(rows, circumstances)
    if known.end is None and not known.more_follow:
        yield history.pass_time(due_us, circumstances)


def _before(rows: NDArray[np.void], due_us: int) -> int:
    """Return up to when something may have happened before the fixes."""
    return min(due_us, int(rows["time_us"].min(initial=MAX_TIME_US)) - 1)


def _flag(
    rows: NDArray[np.void],
    own: NDArray[np.intp],
    revisions: Iterable[Revision],
    rejudged: Rejudged,
    registry: Registry,
) -> None:
    """Set the flag of the new fixes, and note stored fixes whose flag changes."""
    suspect: dict[tuple[int, int, int], bool] = {}
    for revision in revisions:
        suspect |= revision.suspect
    rows["flags"][own] &= ~np.uint8(Flag.SUSPECT)
    for number in own.tolist():
        row = rows[number]
        identity = (int(row["tracker"]), int(row["time_us"]), int(row["seq"]))
        if suspect.pop(identity, False):
            rows["flags"][number] |= np.uint8(Flag.SUSPECT)
            rejudged.suspects += 1
    for (tracker, time_us, seq), is_suspect in suspect.items():
        rejudged.suspect[FixKey(registry.trackers[tracker], time_us, seq)] = is_suspect


def _write(
    history: History,
    revisions: Sequence[Revision],
    fixes: Sequence[int],
    rejudged: Rejudged,
    registry: Registry,
    clock_us: int,
    flags_of: FlagsOf,
) -> None:
    """Write the visits as they are in the end, and all events on the way.

    fixes: the numbers of the asset's fixes in the plan.
    """
    changed: set[VisitKey] = set()
    first = 0
    for number, revision in enumerate(revisions):
        of_revision = fixes[first : first + revision.fixes]
        if not of_revision:
            of_revision = [AFTER_FIXES if number else BEFORE_FIXES]
        first += revision.fixes
        changed.update(visit.key for visit in revision.visits)
        rejudged.events += late_rows.events(
            history.asset, revision, of_revision, registry, clock_us, flags_of
        )
    rejudged.visits += [
        late_rows.visit_row(history.asset, history.visits[key], registry) for key in changed
    ]


def _flags_of(rows: NDArray[np.void], known: AssetPast, fix: int, transition: TransitionRow) -> int:
    """Return the flags of what made a transition known (`FlagsOf`).

    rows: the fixes of the batch. Where it was none of them, it is the uploaded fix that shows the
    transition, or else, in the time that was judged before, what began the backlog.
    """
    if BEFORE_FIXES < fix < AFTER_FIXES:
        return int(rows["flags"][fix])
    for some in (known.rows, rows[rows["asset"] == transition.asset]):
        assert some is not None  # a past that is judged has its fixes
        here = (some["time_us"] == transition.fix_us) & (some["seq"] == transition.fix_seq)
        flags = int(np.bitwise_or.reduce(some["flags"][here], initial=0))
        if flags & Flag.UPLOADED:
            return flags
    if known.backlog is None or known.backlog.judged_us is None:
        return 0
    return known.backlog.flags if transition.time_us <= known.backlog.judged_us else 0


def _keep(history: History, rejudged: Rejudged, registry: Registry) -> None:
    """Keep the present state of the asset."""
    rejudged.states.append(history.state())
    rejudged.used_names[history.asset] = history.used_names()
    announced = history.announced()
    for key in history.visits:
        rejudged.announced[late_rows.visit_id_of(history.asset, key, registry)] = announced.get(key)


def _rest(
    history: History, before: Backlog | None, rejudged: Rejudged, registry: Registry
) -> Backlog:
    """Return the rest of a backlog after a piece, with the state of the asset by then."""
    for key in history.visits:
        rejudged.announced[late_rows.visit_id_of(history.asset, key, registry)] = None
    state = history.state()
    told = (None, 0) if before is None else (before.judged_us, before.flags)
    return Backlog(*checkpoints.encode(state.assets[0], state.memberships, registry), *told)


def _mark(history: History, known: AssetPast, rejudged: Rejudged, registry: Registry) -> None:
    """Make checkpoints again in the time that was judged."""
    organization = registry.organization_of_asset(history.asset)
    owner = (registry.organizations[organization], registry.assets[history.asset])
    until_us = None if known.end is None else int(known.end.assets["newest_us"][0])
    if known.more_follow:
        until_us = int(history.state().assets["newest_us"][0]) + 1
    rejudged.outdated.append(stored.OutdatedSpan(*owner, known.since_us, until_us))
    landmarks = checkpoints.spaced(history.landmarks(), known.since_us)
    if known.more_follow and not history.state().assets["suspects"][0]:
        landmarks.append(history.state())
    for landmark in landmarks:
        rejudged.checkpoints.append(
            checkpoints.encode(landmark.assets[0], landmark.memberships, registry)
        )
    if known.end is None and not known.more_follow:
        last_us = int(landmarks[-1].assets["newest_us"][0]) if landmarks else known.since_us
        rejudged.checkpointed.append((history.asset, last_us))
