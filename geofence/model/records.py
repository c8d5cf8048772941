"""The memory of a fix, an asset and a membership, as rows of numbers."""

import numpy as np

from geofence.kernel.compiled import Record, bare

PLACE_DTYPE = np.dtype(
    [
        ("tracker", "<i8"),  # identity of the fix
        ("time_us", "<i8"),
        ("seq", "<i8"),
        ("lat", "<f8"),  # degrees
        ("lon", "<f8"),
        ("accuracy_m", "<f4"),  # NaN: not known
        ("speed_mps", "<f4"),
    ]
)

ASSET_DTYPE = np.dtype(
    [
        ("asset", "<i8"),
        ("organization", "<i8"),
        ("newest_us", "<i8"),  # the newest fix, good or not; MIN_TIME_US: there is none
        ("newest_seq", "<i8"),
        ("clock_us", "<i8"),  # what happened without a fix, after it, is known up to here
        ("marked_us", "<i8"),  # where it is now, changes of zones are taken in up to here,
        ("rewound", "<i8"),  # those known when the zones had been rewound so often
        ("due_us", "<i8"),  # the next deadline, NEVER_US: there is none
        ("located", "?"),  # whether `good` tells where the asset is
        ("joined", "?"),  # whether the way from there to the next good fix may be judged
        ("vague", "?"),  # every fix so far was coarse, and no zone was left
        ("bridged", "?"),  # whether that way begins at `fine`: all fixes since were coarse
        ("suspects", "u1"),  # how many suspect fixes in a row agree with each other, 0 to 2
        ("good", PLACE_DTYPE),  # the last good fix
        ("fine", PLACE_DTYPE),  # the last good fix that was not coarse, where `bridged`
        ("suspect", PLACE_DTYPE, (2,)),
    ]
)

MEMBERSHIP_DTYPE = np.dtype(
    [
        ("asset", "<i8"),
        ("zone", "<i8"),
        ("inside", "?"),  # a visit is open; else only a run, or the memory of an exit
        ("dwelled", "?"),  # the visit's dwell is known
        ("overspeed", "?"),  # in this visit the asset was faster than the zone allows
        ("returning", "?"),  # the zone was left before
        ("entered_us", "<i8"),
        ("first_fix_tracker", "<i8"),  # identity of the fix that opened the visit
        ("first_fix_us", "<i8"),
        ("first_fix_seq", "<i8"),
        ("change_us", "<i8"),  # the change where that opened the visit, else 0
        ("entered_version", "<i8"),
        ("again", "<i8"),  # how many visits the same fix opened in the zone before
        ("run", "<i8"),  # how many fixes in a row say the opposite of `inside`
        ("run_first", PLACE_DTYPE),
    ]
)


# numba copies a record byte by byte; field by field is several times faster.


@bare
def copy_place(to: Record, of: Record) -> None:
    """Copy a PLACE_DTYPE record."""
    to.tracker, to.time_us, to.seq = of.tracker, of.time_us, of.seq
    to.lat, to.lon = of.lat, of.lon
    to.accuracy_m, to.speed_mps = of.accuracy_m, of.speed_mps


@bare
def copy_membership(to: Record, of: Record) -> None:
    """Copy a MEMBERSHIP_DTYPE record."""
    to.asset, to.zone = of.asset, of.zone
    to.inside, to.dwelled, to.returning = of.inside, of.dwelled, of.returning
    to.overspeed = of.overspeed
    to.entered_us, to.first_fix_tracker = of.entered_us, of.first_fix_tracker
    to.first_fix_us, to.first_fix_seq = of.first_fix_us, of.first_fix_seq
    to.change_us, to.entered_version = of.change_us, of.entered_version
    to.again = of.again
    to.run = of.run
    copy_place(to.run_first, of.run_first)
