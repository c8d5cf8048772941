"""The medians, ratios, table and result file, from the figures of all rounds.

A ratio is taken inside each round, where both sides met the same machine in the same minute; the
median of those is what counts. Goals are shown, never enforced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.common.spread import Spread
from benchmarks.pipeline.parts import Figure

UNITS = {"broker": "messages/s", "copy": "rows/s"}  # by the first word of a part
Rounds = Sequence[Mapping[str, Figure]]  # each: name of the part -> its figure


@dataclass(frozen=True, slots=True)
class Goal:
    """One part's rate in units of another's."""

    part: str
    against: str
    least: float


GOALS = (
    Goal("listener-1-json-2000x1", "broker-2000x1", 1.2),
    Goal("listener-1-json-400x4", "broker-400x4", 1.2),
    Goal("listener-1-json-100x20", "broker-100x20", 1.2),
    Goal("listener-20-json", "copy", 0.75),
    Goal("listener-20-packed", "copy", 0.85),
    Goal("listener-1-json-2000x1", "baseline-1-json", 12.0),
    Goal("listener-20-json", "baseline-20-json", 20.0),
)


def rates(rounds: Rounds) -> dict[str, Spread]:
    """Return rates per part, a second."""
    return {part: Spread.of([r[part].per_s for r in rounds], 0) for part in rounds[0]}


def ratios(rounds: Rounds) -> list[tuple[Goal, Spread]]:
    """Return the goals whose two parts were measured."""
    return [
        (goal, Spread.of([r[goal.part].per_s / r[goal.against].per_s for r in rounds], 3))
        for goal in GOALS
        if goal.part in rounds[0] and goal.against in rounds[0]
    ]


def show(rounds: Rounds, console: Console) -> None:
    """Print two tables: rates and ratios."""
    console.print(_rates_table(rounds))
    if found := ratios(rounds):
        console.print(_ratios_table(found))


def result(rounds: Rounds, about: Mapping[str, object]) -> dict[str, object]:
    """Return the content of the result file: `about` (commit, machine, configuration), every
    figure, every ratio.
    """
    parts = {
        part: {
            "unit": _unit(part),
            **asdict(spread),
            "cores": [_rounded(r[part].cores) for r in rounds],
            "us_per_fix": [round(r[part].us_per_fix, 2) for r in rounds],
            "puback": [None if (seen := r[part].puback) is None else asdict(seen) for r in rounds],
            "events_per_fix": rounds[-1][part].events_per_fix,
            "memory_mib": rounds[-1][part].memory_mib,
        }
        for part, spread in rates(rounds).items()
    }
    compared = [{**asdict(goal), **asdict(spread)} for goal, spread in ratios(rounds)]
    return {**about, "parts": parts, "ratios": compared}


def _rates_table(rounds: Rounds) -> Table:
    table = Table(
        "part",
        "median",
        "lowest",
        "highest",
        "unit",
        "events",
        "CPU us a fix, all but load",
        "PUBACK p50, p99 ms",
        "cores used (CPU per fix), last round",
    )
    for part, spread in rates(rounds).items():
        figure = rounds[-1][part]
        events = "" if figure.events_per_fix is None else f"{figure.events_per_fix:.1%}"
        cores = ", ".join(
            f"{name} {used:.2f} ({1e6 * used / figure.per_s:.1f} us)"
            for name, used in figure.cores.items()
        )
        numbers = (f"{value:,.0f}" for value in (spread.median, spread.lowest, spread.highest))
        cost = f"{median(one[part].us_per_fix for one in rounds):.1f}"
        table.add_row(part, *numbers, _unit(part), events, cost, _puback(rounds, part), cores)
    return table


def _puback(rounds: Rounds, part: str) -> str:
    """Return the medians over the rounds, where it was measured."""
    seen = [puback for one in rounds if (puback := one[part].puback) is not None]
    if not seen:
        return ""
    return f"{median(s.p50_ms for s in seen):.1f}, {median(s.p99_ms for s in seen):.1f}"


def _ratios_table(found: Sequence[tuple[Goal, Spread]]) -> Table:
    table = Table("part", "against", "ratio", "lowest", "highest", "goal", "")
    for goal, spread in found:
        numbers = (f"{value:.2f}" for value in (spread.median, spread.lowest, spread.highest))
        table.add_row(goal.part, goal.against, *numbers, *_verdict(goal, spread))
    return table


def _verdict(goal: Goal, spread: Spread) -> tuple[str, str]:
    return f">= {goal.least:g}", "met" if spread.median >= goal.least else "missed"


def _unit(part: str) -> str:
    return UNITS.get(part.partition("-")[0], "fixes/s")


def _rounded(cores: Mapping[str, float]) -> dict[str, float]:
    return {name: round(used, 2) for name, used in cores.items()}
