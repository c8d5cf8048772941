"""The fate of each sent fix: stored, mended, or rejected with which reason.

It is worked out only from what was sent and from the rules in docs/wire-format.md, without ingest's
code, so that the two can be compared.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device_sim.ledger import Ledger
from telemetry.fix import Flag
from telemetry.rejection import Reason

_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US
_AHEAD_US = 300 * _SECOND_US
_ROLLOVER_US = 1024 * 7 * _DAY_US
_ROLLOVERS = (1, 2)
_SAME_PLACE_DEG = 1e-6
_YEAR_2000_US = 946_684_800 * _SECOND_US


@dataclass(frozen=True, slots=True)
class Arrived:
    """Fixes in order of arrival.

    rows: FIX_DTYPE; rows["message"] tells which fixes came in one message. is_whole: (n,), whether
    the message is not truncated; digest: (n,), equal for equal messages; sent_us: (n,). is_json:
    one number that is none spoils the whole message.
    """

    rows: NDArray[np.void]
    is_whole: NDArray[np.bool_]
    digest: NDArray[np.int64]
    sent_us: NDArray[np.int64]
    is_json: bool = True

    @staticmethod
    def from_ledger(ledger: Ledger, rows: NDArray[np.void], *, is_json: bool) -> "Arrived":
        of_fix = ledger.messages[rows["message"]]
        return Arrived(rows, of_fix["is_whole"], of_fix["digest"], of_fix["sent_us"], is_json)


@dataclass(frozen=True, slots=True)
class Refused:
    """Messages that are in quarantine for a reason: the whole message, or fixes of it."""

    tracker: int
    reason: Reason
    digest: int


@dataclass(frozen=True, slots=True)
class Fates:
    """stored: FIX_DTYPE in order of arrival, mended ones with their own time and Flag.ROLLOVER.

    refused: how many messages each was, equal ones counted together.
    """

    stored: NDArray[np.void]
    refused: Counter[Refused]


def fates(arrived: Arrived) -> Fates:
    """Sort everything that arrived by its fate."""
    rows = arrived.rows.copy()
    reasons = np.full(len(rows), "", dtype=object)
    reasons[_unreadable(arrived)] = Reason.UNDECODABLE
    _refuse(reasons, _nowhere(rows), Reason.BAD_COORDINATE)
    _mend(rows, arrived.sent_us, reasons == "")
    _refuse(reasons, rows["time_us"] < _YEAR_2000_US, Reason.ANCIENT)
    _refuse(reasons, rows["time_us"] > arrived.sent_us + _AHEAD_US, Reason.FUTURE)
    _refuse(reasons, _conflicts(rows, reasons == ""), Reason.CONFLICT)
    is_stored = reasons == ""
    return Fates(rows[is_stored], _counted(arrived, reasons, np.flatnonzero(~is_stored).tolist()))


def _refuse(reasons: NDArray[np.object_], chosen: NDArray[np.bool_], reason: Reason) -> None:
    reasons[chosen & (reasons == "")] = reason


def _unreadable(arrived: Arrived) -> NDArray[np.bool_]:
    unreadable = ~arrived.is_whole
    if arrived.is_json:
        messages = arrived.rows["message"]
        unreadable |= np.isin(messages, messages[np.isnan(arrived.rows["lat"])])
    return unreadable


def _nowhere(rows: NDArray[np.void]) -> NDArray[np.bool_]:
    at_zero = (rows["lat"] == 0) & (rows["lon"] == 0)
    return ~((np.abs(rows["lat"]) <= 90) & (np.abs(rows["lon"]) <= 180)) | at_zero


def _conflicts(rows: NDArray[np.void], good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask of good fixes that say another place than the first good one of their tracker,
    time and seq.
    """
    number = np.flatnonzero(good)
    own = rows[number]
    _, first, which = np.unique(
        own[["tracker", "time_us", "seq"]], return_index=True, return_inverse=True
    )
    other = own[first[which.reshape(-1)]]
    east_deg = np.abs(own["lon"] - other["lon"])
    apart_deg = np.maximum(np.abs(own["lat"] - other["lat"]), np.minimum(east_deg, 360 - east_deg))
    is_apart = np.zeros(len(rows), np.bool_)
    is_apart[number[apart_deg > _SAME_PLACE_DEG]] = True
    return is_apart


def _mend(rows: NDArray[np.void], sent_us: NDArray[np.int64], good: NDArray[np.bool_]) -> None:
    """Mend times that are within a day of their sending once whole rollovers are added.

    Not where the tracker had a fix in the day before the time as it was sent.
    """
    for count in _ROLLOVERS:
        mended_us = rows["time_us"] + count * _ROLLOVER_US
        for row in np.flatnonzero(good & (np.abs(sent_us - mended_us) <= _DAY_US)).tolist():
            ahead_us = rows["time_us"][row] - rows["time_us"][:row]
            before = good[:row] & (rows["tracker"][:row] == rows["tracker"][row])
            if not (before & (ahead_us >= 0) & (ahead_us <= _DAY_US)).any():
                rows["time_us"][row] = mended_us[row]
                rows["flags"][row] |= np.uint8(Flag.ROLLOVER)


def _counted(
    arrived: Arrived, reasons: NDArray[np.object_], refused: Iterable[int]
) -> Counter[Refused]:
    """Return each message once for each reason."""
    seen: dict[tuple[int, Reason], Refused] = {}
    for row in refused:
        message, tracker = (int(arrived.rows[name][row]) for name in ("message", "tracker"))
        reason = Reason(reasons[row])
        seen[message, reason] = Refused(tracker, reason, int(arrived.digest[row]))
    return Counter(seen.values())
