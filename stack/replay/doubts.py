"""Doubts about a trace as a whole: warnings after a replay, with probable causes."""

from __future__ import annotations

from collections.abc import Iterator

from stack.replay.tally import Tally

DOUBTFUL_SHARE = 0.1


def doubts(tally: Tally, max_speed_mps: float) -> Iterator[str]:
    """Give one text for each thing that a tenth of the fixes, or more, has."""
    if _is_much(tally.as_if_seconds, tally.fixes):
        yield (
            f"{tally.as_if_seconds:,} of {tally.fixes:,} fixes have times of January and February "
            "1970, which look like seconds since 1970: give milliseconds, or ISO 8601"
        )
    if _is_much(tally.suspect, tally.judged):
        yield (
            f"{tally.suspect:,} of {tally.judged:,} fixes are suspect and change nothing: they are "
            f"reached faster than {max_speed_mps:g} m/s. Probable causes: several devices under "
            "one device_id; lat and lon exchanged in some lines; times that are rounded, in local "
            "time, or of another unit; or vehicles that are so fast (--max-speed-mps)"
        )


def _is_much(count: int, of: int) -> bool:
    return count > 0 and count >= DOUBTFUL_SHARE * of
