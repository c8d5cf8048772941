"""The table and the result file of `benchmarks.api.run`, from the figures of all rounds.

A ratio is taken inside each round; the median of those counts. Goals are shown, never enforced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

from rich.console import Console
from rich.table import Table

from benchmarks.api.parts import Figure
from benchmarks.common.spread import Spread

Rounds = Sequence[Mapping[str, Figure]]  # each: operation -> its figure

GOALS = {"list": 0.06, "get": 0.09, "create": 0.05, "create, idempotent": 0.05}
MOONSHOTS = {"list": 0.10, "get": 0.19, "create": 0.10, "create, idempotent": 0.10}
AGAINST = {
    "list of work-orders": "list",
    "list of inventory": "list",
    "list of quotes": "list",
    "list of inspection-forms": "list",
    "create work-orders": "create",
    "create work-orders, a title alone": "create",
    "create quotes": "create",
    "create inspection-forms": "create",
    "create stock-movements": "create",
}
"""Operations, and that of assets whose time a request they are compared with."""
MOST_AGAINST = 1.5
_DIGITS = {"ratio": 4, "p50_ms": 2, "p99_ms": 2}


def spreads(rounds: Rounds, operation: str) -> dict[str, Spread]:
    """Return the spread of each figure of an operation."""
    names = [*(field.name for field in fields(Figure)), "ratio"]
    return {
        name: Spread.of([getattr(r[operation], name) for r in rounds], _DIGITS.get(name, 0))
        for name in names
    }


def show(by_workers: Mapping[int, Rounds], console: Console) -> None:
    """Print one table for each number of workers."""
    for workers, rounds in by_workers.items():
        table = Table(
            *(f"{workers} worker(s)", "req/s", "ceiling", "ratio", "lowest", "highest", "goal"),
            *("API us", "PostgreSQL us", "ceiling us", "at work us", "p50 ms", "p99 ms"),
        )
        for operation in rounds[0]:
            table.add_row(operation, *_cells(operation, spreads(rounds, operation)))
        console.print(table)
        for operation, of_assets in AGAINST.items():
            if {operation, of_assets} <= rounds[0].keys():
                times = against(rounds, operation, of_assets)
                verdict = "met" if times.median <= MOST_AGAINST else "missed"
                console.print(
                    f"{operation}: {times.median:.2f} times {of_assets} of assets"
                    f" ({times.lowest:.2f}, {times.highest:.2f}); goal {MOST_AGAINST} {verdict}"
                )


def against(rounds: Rounds, operation: str, other: str) -> Spread:
    """Return how many times the time of another operation one takes, in each round."""
    return Spread.of([r[other].per_s / r[operation].per_s for r in rounds], 4)


def result(by_workers: Mapping[int, Rounds], about: Mapping[str, object]) -> dict[str, object]:
    """Return the content of the result file: `about` (commit, machine, configuration) and every
    figure.
    """
    figures = {
        f"{workers} workers": {
            operation: {name: asdict(spread) for name, spread in spreads(rounds, operation).items()}
            for operation in rounds[0]
        }
        for workers, rounds in by_workers.items()
    }
    goals = {name: {"goal": GOALS[name], "moonshot": MOONSHOTS[name]} for name in GOALS}
    return {**about, "goals": goals, "figures": figures}


def _cells(operation: str, found: Mapping[str, Spread]) -> list[str]:
    ratio, goal = found["ratio"], GOALS.get(operation)
    verdict = "" if goal is None else f"{goal} {'met' if ratio.median >= goal else 'missed'}"
    times = ("api_us", "postgresql_us", "ceiling_us", "database_us")
    return [
        *(f"{found[name].median:,.0f}" for name in ("per_s", "ceiling_per_s")),
        *(f"{value:.3f}" for value in (ratio.median, ratio.lowest, ratio.highest)),
        verdict,
        *(f"{found[name].median:,.0f}" for name in times),
        *(f"{found[name].median:.1f}" for name in ("p50_ms", "p99_ms")),
    ]
