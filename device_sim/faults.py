"""Named faults: what devices and networks do to fixes now and then, as data.

    faults = parse_faults("duplicate=0.01,reorder=0.05")
    schedule = with_faults(schedule, faults, seed)

FAULTS says of each what it is and what a system must make of it. A fix has at most one fault of
those that change what it says, and one of those that change when it is sent. The same seed gives
the same faults. `truncated` and `reconnect` are no matter of fixes: the fleet sees
to them. From `cut` on they are faults of connections and of MQTT stacks: see
`device_sim.device_stack`.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from device_sim.schedule import Schedule, Slice
from telemetry.fix import FixBatch
from telemetry.rejection import Reason

OFFLINE_FIXES = 20
FROZEN_FIXES = 5
REPLAYED_FIXES = 20
LEAST_RECONNECT_S = 1.0
ONCE = "stored once; with QoS 0, or a session lost, at most once"
WEEK_US = 7 * 86_400_000_000
ROLLOVER_US = 1024 * WEEK_US
_DAY_US = 86_400_000_000
_GPS_BEGINS_US = 315_964_800_000_000  # 1980-01-06T00:00:00Z
_INT32_ENDS_US = (2**31 - 1) * 1_000_000  # 2038-01-19T03:14:07Z
_JUMP_DEG = 0.1


class SimulatedFault(NamedTuple):
    """meaning: in words, with what the number after the name says, where it is no share of fixes.

    becomes: what a system must make of it. reason: with which it must be refused, None where the
    fix must be stored.
    """

    meaning: str
    becomes: str
    reason: Reason | None = None


FAULTS: Mapping[str, SimulatedFault] = MappingProxyType(
    {
        "duplicate": SimulatedFault("the fix is sent twice", "stored once"),
        "reorder": SimulatedFault(
            "the fix is sent after the next one", "stored once, judged in its place"
        ),
        "offline": SimulatedFault(
            f"no connection for {OFFLINE_FIXES} fixes, then all of them in order", "stored once"
        ),
        "offline_newest_first": SimulatedFault(
            f"no connection for {OFFLINE_FIXES} fixes, then all of them, the newest first",
            "stored once, judged in their places",
        ),
        "replay": SimulatedFault(
            f"the {REPLAYED_FIXES} fixes before are sent again", "stored once"
        ),
        "jump": SimulatedFault("the position is 11 km off", "stored once, as suspect"),
        "frozen_clock": SimulatedFault(
            f"{FROZEN_FIXES} fixes have the time of the one before", "stored once for each seq"
        ),
        "clock_1980": SimulatedFault("the clock begins in 1980", "refused", Reason.ANCIENT),
        "clock_2038": SimulatedFault(
            "the clock stands at the end of 32 bits", "refused", Reason.FUTURE
        ),
        "day_ahead": SimulatedFault("the clock is a day ahead", "refused", Reason.FUTURE),
        "rollover": SimulatedFault("the clock is 1,024 weeks behind", "repaired, stored once"),
        "null_island": SimulatedFault("the position is 0,0", "refused", Reason.BAD_COORDINATE),
        "nan": SimulatedFault(
            "the latitude is not a number: in JSON that spoils the whole message; not for packed",
            "refused",
            Reason.UNDECODABLE,
        ),
        "truncated": SimulatedFault(
            "the message ends in its middle (share of messages)", "refused", Reason.UNDECODABLE
        ),
        "reconnect": SimulatedFault(
            "all connections are cut at once (seconds from one time to the next)", "stored once"
        ),
        "cut": SimulatedFault(
            "the connection is cut in the middle of the message (share of messages)", ONCE
        ),
        "trickle": SimulatedFault("the message comes byte by byte (share of messages)", ONCE),
        "silent": SimulatedFault(
            "no PINGREQ, at a keepalive of 2 s, and a new connection after each end (share of"
            " trackers)",
            ONCE,
        ),
        "twice": SimulatedFault(
            "another device signs in as the tracker for 3 s and sends what is unacknowledged, too"
            " (share of messages)",
            ONCE,
        ),
        "deaf": SimulatedFault(
            "no acknowledgement is read for 2 s, then the device reconnects (share of messages)",
            ONCE,
        ),
        "retry": SimulatedFault(
            "what is not acknowledged after 1 s is sent again on the open connection (share of"
            " trackers)",
            ONCE,
        ),
    }
)

_TIMING = ("duplicate", "reorder", "offline", "offline_newest_first", "replay", "frozen_clock")
_SAYING = (
    "jump",
    "clock_1980",
    "clock_2038",
    "day_ahead",
    "rollover",
    "null_island",
    "nan",
)


@dataclass(frozen=True, slots=True)
class Faults:
    """The amount of each fault: a share of fixes, or what FAULTS says. Those not named are none."""

    amounts: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        for name, amount in self.amounts.items():
            if name not in FAULTS:
                raise ValueError(f"{name!r} is none of the faults {', '.join(FAULTS)}")
            if name == "reconnect":
                if not LEAST_RECONNECT_S <= amount <= 86_400:
                    allowed = f"{LEAST_RECONNECT_S:g} to 86400 seconds"
                    raise ValueError(f"reconnect takes {allowed}, not {amount:g}")
            elif not 0 <= amount <= 1:
                raise ValueError(f"{name} takes a share of 0 to 1, not {amount:g}")
        for names in (_TIMING, _SAYING):
            if sum(self.of(name) for name in names) > 1:
                raise ValueError(f"the shares of {', '.join(names)} are more than 1 together")

    def __bool__(self) -> bool:
        return any(self.amounts.values())

    def of(self, name: str) -> float:
        return self.amounts.get(name, 0.0)


def parse_faults(text: str) -> Faults:
    """Parse `name=amount,name=amount`. Raises ValueError that says what is wrong."""
    return Faults(read_amounts(text))


def read_amounts(text: str) -> dict[str, float]:
    """Return the amounts of `name=amount,name=amount` by name. Raises ValueError."""
    amounts: dict[str, float] = {}
    for part in text.split(","):
        name, equals, amount = part.strip().partition("=")
        if not equals:
            raise ValueError(f"{part.strip()!r} is not like duplicate=0.01")
        if name in amounts:
            raise ValueError(f"{name} is given twice")
        try:
            amounts[name] = float(amount)
        except ValueError:
            raise ValueError(f"{name} takes a number, not {amount!r}") from None
    return amounts


def with_faults(schedule: Schedule, faults: Faults, seed: int) -> Schedule:
    """Yield the schedule as it comes out of faulty devices; without faults, the schedule itself."""
    if not any(faults.of(name) for name in (*_TIMING, *_SAYING)):
        return schedule

    def faulty(start_us: int) -> Iterator[Slice]:
        random = np.random.default_rng([seed, 1])
        devices = _Devices()
        due_s = 0.0
        for part in schedule(start_us):
            rows = part.fixes.rows.copy()
            _misstate(rows, _drawn(random, faults, _SAYING, len(rows)), start_us)
            timing = _drawn(random, faults, _TIMING, len(rows))
            yield devices.apply(Slice(part.due_s, FixBatch(rows, part.fixes.attributes)), timing)
            due_s = float(part.due_s[-1]) if len(rows) else due_s
        yield devices.rest(due_s)

    return faulty


def _drawn(
    random: np.random.Generator, faults: Faults, names: tuple[str, ...], n: int
) -> NDArray[np.intp]:
    """Draw for each of n fixes its fault: a place in `names`, len(names) for none."""
    ends = np.cumsum([faults.of(name) for name in names])
    return np.searchsorted(ends, random.random(n), side="right")


def _misstate(rows: NDArray[np.void], drawn: NDArray[np.intp], start_us: int) -> None:
    for place, name in enumerate(_SAYING):
        chosen = drawn == place
        if chosen.any():
            rows[chosen] = _MISSTATEMENTS[name](rows[chosen], start_us)


def _jump(rows: NDArray[np.void], _start_us: int) -> NDArray[np.void]:
    towards_equator_deg = np.where(rows["lat"] > 0, -_JUMP_DEG, _JUMP_DEG)
    rows["lat"] = np.round(rows["lat"] + towards_equator_deg, 7)
    return rows


def _clock_from(begins_us: int) -> Callable[[NDArray[np.void], int], NDArray[np.void]]:
    def misstate(rows: NDArray[np.void], start_us: int) -> NDArray[np.void]:
        rows["time_us"] += begins_us - start_us // 1_000_000 * 1_000_000
        return rows

    return misstate


def _clock_off(by_us: int) -> Callable[[NDArray[np.void], int], NDArray[np.void]]:
    def misstate(rows: NDArray[np.void], _start_us: int) -> NDArray[np.void]:
        rows["time_us"] += by_us
        return rows

    return misstate


def _null_island(rows: NDArray[np.void], _start_us: int) -> NDArray[np.void]:
    rows["lat"] = rows["lon"] = 0.0
    return rows


def _nan(rows: NDArray[np.void], _start_us: int) -> NDArray[np.void]:
    rows["lat"] = np.nan
    return rows


_MISSTATEMENTS: Mapping[str, Callable[[NDArray[np.void], int], NDArray[np.void]]] = {
    "jump": _jump,
    "clock_1980": _clock_from(_GPS_BEGINS_US),
    "clock_2038": _clock_from(_INT32_ENDS_US),
    "day_ahead": _clock_off(_DAY_US),
    "rollover": _clock_off(-ROLLOVER_US),
    "null_island": _null_island,
    "nan": _nan,
}


@dataclass(slots=True)
class _Device:
    """One tracker: what it has not sent yet, and what it sent last.

    away: how many fixes more it is without a connection. frozen: how many more have the time
    frozen_us.
    """

    away: int = 0
    is_newest_first: bool = False
    held: list[FixBatch] = field(default_factory=list[FixBatch])
    delayed: FixBatch | None = None
    frozen: int = 0
    frozen_us: int = 0
    recent: deque[FixBatch] = field(default_factory=lambda: deque(maxlen=REPLAYED_FIXES))

    def come_back(self) -> list[FixBatch]:
        """Return what was held, in the order of sending."""
        held, self.held, self.away = self.held, [], 0
        return held[::-1] if self.is_newest_first else held


class _Devices:
    """Trackers that send fixes on, some of the fixes later, or again."""

    def __init__(self) -> None:
        self._devices: defaultdict[int, _Device] = defaultdict(_Device)

    def apply(self, part: Slice, drawn: NDArray[np.intp]) -> Slice:
        """Return what is sent of the slice, and of what was held before. drawn:
        places in _TIMING.
        """
        sent: list[FixBatch] = []
        due_s: list[float] = []
        trackers = part.fixes.rows["tracker"].tolist()
        for number, (at_s, tracker, place) in enumerate(
            zip(part.due_s.tolist(), trackers, drawn.tolist(), strict=True)
        ):
            name = _TIMING[place] if place < len(_TIMING) else ""
            now = self._faulty(self._devices[tracker], part.fixes.take(np.array([number])), name)
            sent += now
            due_s += [at_s] * len(now)
        return Slice(np.array(due_s), FixBatch.concat(sent))

    def rest(self, due_s: float) -> Slice:
        """Return what is still held when the run ends."""
        held: list[FixBatch] = []
        for device in self._devices.values():
            held += device.come_back()
            held += [] if device.delayed is None else [device.delayed]
        return Slice(np.full(len(held), due_s), FixBatch.concat(held))

    def _faulty(self, device: _Device, fix: FixBatch, name: str) -> list[FixBatch]:
        """Return what the device sends when it has this fix."""
        _freeze(device, fix, name)
        if not device.away and name in ("offline", "offline_newest_first"):
            device.away, device.is_newest_first = OFFLINE_FIXES, name != "offline"
        if device.away:
            device.held.append(fix)
            device.away -= 1
            return [] if device.away else device.come_back()
        if name == "reorder" and device.delayed is None:
            device.delayed = fix
            return []
        sent = [fix]
        if device.delayed is not None:
            sent.append(device.delayed)
            device.delayed = None
        if name == "duplicate":
            sent.append(fix)
        if name == "replay":
            sent += device.recent
        device.recent.append(fix)
        return sent


def _freeze(device: _Device, fix: FixBatch, name: str) -> None:
    if device.frozen:
        fix.rows["time_us"] = device.frozen_us
        device.frozen -= 1
    elif name == "frozen_clock":
        device.frozen, device.frozen_us = FROZEN_FIXES, int(fix.rows["time_us"][0])
