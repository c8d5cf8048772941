"""Punches with their verdicts, as they come out of the running system by each way in.

The cases are in `tests/cases/punch_verdicts.json`. Tests called `test_punch_verdicts.py` send them
over MQTT (in `tests/listener/`) and over REST (in `tests/api/resources/`).
"""

from pathlib import Path
from typing import Any

import msgspec

from tests.ingest.punches.punching import HOME


class PunchSite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A jobsite, 70 m to each side of a place."""

    place: tuple[float, float] = HOME
    punch_tolerance_m: float | None = None


class RestDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A result over REST that is not the one over MQTT. status: with 403 nothing is stored."""

    status: int = 201
    pay: str | None = None


class PunchCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One punch of an employee, as it is stored.

    punch and before: the keys of `tests.ingest.punches.punching.punch`; `before` are the employee's
    earlier ones. by: the ways in which the employee may punch; None: the way of the test.
    is_from_another: the sender is somebody else, who is no dispatcher. is_by_hand: over REST, the
    dispatcher sends it. is_moved: the first site is moved away just before the sending.
    site: the number of the site that the verdict names. shifts: the flags of each shift; None: they
    are not looked at.
    """

    case: str
    verdict: str
    rules: list[str]
    pay: str = "claimed"
    punch: dict[str, Any] = {}
    before: list[dict[str, Any]] = []
    by: list[str] | None = None
    sites: tuple[PunchSite, ...] = (PunchSite(),)
    site: int = 0
    is_from_another: bool = False
    is_by_hand: bool = False
    is_moved: bool = False
    shifts: list[list[str]] | None = None
    rest: RestDifference = RestDifference()

    @property
    def events(self) -> list[str]:
        """The types of the events of `before` and of the punch."""
        kinds = [one.get("kind", "in") for one in (*self.before, self.punch)]
        return [f"employee.punched_{kind}" for kind in kinds if kind in ("in", "out")]


FILE = Path(__file__).parents[2] / "cases" / "punch_verdicts.json"
CASES = {one.case: one for one in msgspec.json.decode(FILE.read_bytes(), type=list[PunchCase])}
