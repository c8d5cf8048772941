"""The most that one plan takes of an asset and of an organization. The rest is deferred.

The fixes that arrived last are cut off. See `ingest.planning.deferral`.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from db.history.quarantine import Refusal
from ingest.late.rejudge import rows_by_asset
from ingest.planning.pace import LATE_ALONE_S, LATE_S, Company, LatePace
from ingest.registry.registry import Registry
from ingest.registry.watermarks import Watermarks
from telemetry.fix import FixBatch

MOST_LATE = 250  # fixes of an asset that has late ones, in one plan
MOST_LATE_SHARE = 2_000  # fixes of such assets of an organization, in a plan with others' fixes
MOST_REFUSED_SHARE = 64  # refusals of an organization; more take as long as thousands of fixes
MOST_DOUBTFUL_SHARE = 500  # fixes of an organization that may be stored already, in such a plan
_IDENTITY = ["tracker", "time_us", "seq"]


def beyond_most_doubtful(batch: FixBatch, watermarks: Watermarks, company: Company) -> FixBatch:
    """Return the fixes that may be stored already and are beyond their organization's share of
    look-ups. Empty where one organization alone sends.
    """
    doubtful = np.flatnonzero(~watermarks.surely_new(batch))
    if len(doubtful) <= MOST_DOUBTFUL_SHARE or not company.is_shared:
        return batch.take(np.empty(0, np.intp))
    whose = batch.rows["organization"][doubtful]
    rest = [doubtful[whose == one][MOST_DOUBTFUL_SHARE:] for one in np.unique(whose)]
    return batch.take(np.sort(np.concatenate(rest)))


def beyond_most_late(
    batch: FixBatch, with_late: NDArray[np.integer], pace: LatePace, company: Company
) -> FixBatch:
    """Return the fixes of assets with late ones that are too many for one plan: of their asset, and
    of their organization.

    An organization has whole assets judged, one after the other: the past of each has to be looked
    up. with_late: the assets with late fixes.
    """
    own = [rows for _, rows in rows_by_asset(batch.rows, with_late.tolist()) if len(rows)]
    rest, taken = [rows[MOST_LATE:] for rows in own], dict[int, list[NDArray[np.intp]]]()
    for rows in sorted(own, key=lambda rows: int(rows[0])):
        organization = int(batch.rows["organization"][rows[0]])
        taken.setdefault(organization, []).append(rows[:MOST_LATE])
    for organization, some in taken.items():
        share_s = (LATE_S if company.is_shared else LATE_ALONE_S) / len(taken)
        most = pace.most(organization, share_s, may_rest=company.is_shared)
        rest.append(
            np.concatenate(some)[min(most, MOST_LATE_SHARE) if company.is_shared else most :]
        )
    return batch.take(np.sort(np.concatenate([np.empty(0, np.intp), *rest])))


def organizations_in(*cut: FixBatch) -> frozenset[int]:
    """Return the organizations with fixes in any of these."""
    organizations = (some.rows["organization"] for some in cut if len(some))
    return frozenset(int(one) for those in organizations for one in np.unique(those))


def much_refused(refusals: Sequence[Refusal], registry: Registry) -> frozenset[int]:
    """Return the organizations with more refusals than allowed where several send."""
    of_each = Counter(one.org_id for one in refusals if one.org_id is not None)
    much = [org_id for org_id, count in of_each.items() if count > MOST_REFUSED_SHARE]
    return frozenset(map(registry.organizations.number, much))


def without_rows(batch: FixBatch, others: FixBatch) -> FixBatch:
    """Return the batch without the fixes of `others`, by their places in the messages."""
    if not len(others):
        return batch
    place, other = (
        one.rows["message"].astype(np.int64) << 32 | (one.rows["position"] + 1)
        for one in (batch, others)
    )
    return batch.take(np.flatnonzero(~np.isin(place, other)))


def with_equals(cut: FixBatch, batch: FixBatch) -> FixBatch:
    """Return the fixes that are cut off, and fixes of the batch with the same identity.

    They may come from a message that came twice, which must not be stored before the first one is.
    """
    if not len(cut):
        return cut
    identities = set(map(tuple, cut.rows[_IDENTITY].tolist()))
    same = [identity in identities for identity in map(tuple, batch.rows[_IDENTITY].tolist())]
    return batch.take(np.flatnonzero(same))
