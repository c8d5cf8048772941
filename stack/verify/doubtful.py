"""Messages of a run that may be lost, and those of them that have come: only the system knows.

A message that was sent with QoS 0, or that its device threw away with a lost session, may be
stored or not. So the stored fixes are read first, and those messages count as arrived whose fixes
are there; what must follow from them is exact again. So it is with the order in which messages
arrived that were sent again: which of their sendings was stored is read from when it was received.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from device_sim.ledger import Ledger
from geofence.zones.versions import MAX_TIME_US
from stack.verify.fix_fates import Fates
from stack.verify.results import StoredFix
from stack.verify.run_history import RunHistory

Identity = tuple[str, int, int]


def doubtful_identities(ledger: Ledger, history: RunHistory, fates: Fates) -> set[Identity]:
    """Identify the fixes that may be stored. fates: of all that was sent."""
    rows = _doubtful(ledger, fates)
    return set(_identities(rows, history))


def arrived_messages(
    ledger: Ledger, history: RunHistory, fates: Fates, found: Sequence[StoredFix]
) -> list[int]:
    """Number the doubtful messages of which every fix that can be stored is among those found.

    fates: of all that was sent.
    """
    rows = _doubtful(ledger, fates)
    stored = {fix[:3] for fix in found}
    identities = zip(rows["message"].tolist(), _identities(rows, history), strict=True)
    missing = {message for message, identity in identities if identity not in stored}
    return sorted(set(rows["message"].tolist()) - missing)


def in_order_of_receipt(
    fates: Fates, history: RunHistory, received_us: Mapping[Identity, int]
) -> Fates:
    """Bring what is stored of some trackers into the order in which it was received.

    received_us: of all their stored fixes. Fixes that were received together stay in their order.
    """
    rows = fates.stored.copy()
    trackers = {identity[0] for identity in received_us}
    for tracker in np.unique(rows["tracker"]).tolist():
        if history.tracker_ids[tracker] in trackers:
            own = np.flatnonzero(rows["tracker"] == tracker)
            at_us = [
                received_us.get(identity, MAX_TIME_US)
                for identity in _identities(rows[own], history)
            ]
            rows[own] = rows[own[np.argsort(at_us, kind="stable")]]
    return replace(fates, stored=rows)


def _doubtful(ledger: Ledger, fates: Fates) -> NDArray[np.void]:
    is_doubtful = ledger.messages["may_be_lost"]
    return fates.stored[is_doubtful[fates.stored["message"]]]


def _identities(rows: NDArray[np.void], history: RunHistory) -> list[Identity]:
    columns = (rows[name].tolist() for name in ("tracker", "time_us", "seq"))
    keys = zip(*columns, strict=True)
    return [(history.tracker_ids[int(tracker)], time_us, seq) for tracker, time_us, seq in keys]
