"""The table and the result file of `benchmarks.engine.run`, from the figures of all rounds.

A ratio is taken inside each round; the median of those counts. Goals are shown, never enforced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from benchmarks.common.spread import Spread
from benchmarks.engine.peers import TILE38_SET_NS

Rounds = Sequence[Mapping[str, float]]  # each: name of the part -> its figure

# At most so much, in the part's unit.
GOALS = {
    "judge 100": 250.0,
    "judge 10000": 300.0,
    "judge 100000": 450.0,
    "history in order": 200.0,
    "build 100000": 3.0,
    "edit 100000": 5.0,
    "edit while judging 100000": 5.0,
}
# peer, ours, how many times the peer's time ours is to fit in
RATIOS = (
    ("rtree 100", "judge 100", 30.0),
    ("rtree 10000", "judge 10000", 30.0),
    ("rtree 100000", "judge 100000", 30.0),
    ("shapely 10000", "judge 10000", None),
    ("shapely 100000", "judge 100000", None),
    ("postgis 10000", "judge 10000", 30.0),
    ("judge 10000", "containment 10000", None),
)
TILE38_GOAL = 25.0


def spreads(rounds: Rounds) -> dict[str, Spread]:
    """Return the spread of each part."""
    return {part: Spread.of([r[part] for r in rounds], 3) for part in rounds[0]}


def ratios(rounds: Rounds) -> list[tuple[str, str, float | None, Spread]]:
    """Return (peer, ours, goal, peer's time in units of ours) of those that were measured."""
    return [
        (peer, ours, goal, Spread.of([r[peer] / r[ours] for r in rounds], 2))
        for peer, ours, goal in RATIOS
        if peer in rounds[0] and ours in rounds[0]
    ] + [
        ("Tile38 SET (10 us, quoted)", ours, TILE38_GOAL, spread)
        for ours in ("judge 10000",)
        if ours in rounds[0]
        for spread in [Spread.of([TILE38_SET_NS / r[ours] for r in rounds], 2)]
    ]


def show(rounds: Rounds, units: Mapping[str, str], console: Console) -> None:
    """Print two tables: figures and ratios."""
    table = Table("part", "median", "lowest", "highest", "unit", "goal", "")
    for part, spread in spreads(rounds).items():
        goal = GOALS.get(part)
        verdict = ("", "") if goal is None else (f"<= {goal:g}", _met(spread.median <= goal))
        table.add_row(part, *_numbers(spread), units[part], *verdict)
    console.print(table)
    compared = Table("peer", "against", "ratio", "lowest", "highest", "goal", "")
    for peer, ours, goal, spread in ratios(rounds):
        verdict = ("", "") if goal is None else (f">= {goal:g}", _met(spread.median >= goal))
        compared.add_row(peer, ours, *_numbers(spread), *verdict)
    console.print(compared)


def result(
    rounds: Rounds, units: Mapping[str, str], about: Mapping[str, object]
) -> dict[str, object]:
    """Return the content of the result file: `about` (commit, machine, load), every figure, every
    ratio.
    """
    figures = {
        part: {"unit": units[part], **asdict(spread)} for part, spread in spreads(rounds).items()
    }
    compared = [
        {"peer": peer, "ours": ours, "goal": goal, **asdict(spread)}
        for peer, ours, goal, spread in ratios(rounds)
    ]
    return {**about, "parts": figures, "ratios": compared}


def _numbers(spread: Spread) -> list[str]:
    return [f"{value:,.2f}" for value in (spread.median, spread.lowest, spread.highest)]


def _met(is_met: bool) -> str:
    return "met" if is_met else "missed"
