"""``opsc plan``: the hardware for a fleet, by figures that were measured, and how old they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated

import msgspec
import typer

from stack.sizing.figures import Figures, shipped
from stack.sizing.needs import API, DATABASE, FREE, Fleet, Needs, needs

LEAST_ARCHIVE_DAYS = 31  # of OPSC_ARCHIVE_AFTER_DAYS
GB, TB, MBIT = 1e9, 1e12, 125_000
NOT_MEASURED = "not measured"


def plan(
    trackers: Annotated[int, typer.Option(min=1, help="How many send, each by a connection.")],
    interval: Annotated[float, typer.Option(help="Seconds between two fixes of a tracker.")],
    fixes_per_message: Annotated[int, typer.Option(min=1, help="An array of this many.")] = 1,
    zones: Annotated[int, typer.Option(min=0, help="Zones of all organizations.")] = 1_000,
    retention_days: Annotated[
        int, typer.Option(min=1, max=36_500, help="How long fixes are kept.")
    ] = 365,
    archive_after_days: Annotated[
        int | None,
        typer.Option(
            min=LEAST_ARCHIVE_DAYS,
            max=36_500,
            help="When fixes move into the archive. \\[never]",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Work out cores, memory, disk and network for a fleet.

    The figures were measured and are shipped with this version. Beyond what was measured there is
    no number. docs/scale.md explains the arithmetic.
    """
    if not (isfinite(interval) and 0.001 <= interval <= 86_400):
        raise typer.BadParameter(
            f"{interval:g} is not from 0.001 to 86400 seconds", param_hint="--interval"
        )
    if archive_after_days is not None and archive_after_days >= retention_days:
        raise typer.BadParameter(
            f"fixes are kept for {retention_days} days, so nothing would be archived after"
            f" {archive_after_days}: keep them longer, or leave it out",
            param_hint="--archive-after-days",
        )
    fleet = Fleet(trackers, interval, fixes_per_message, zones, retention_days, archive_after_days)
    figures = shipped()
    found = needs(fleet, figures)
    print(_as_json(fleet, found, figures) if as_json else "\n".join(_lines(fleet, found, figures)))


def _as_json(fleet: Fleet, found: Needs, figures: Figures) -> str:
    return json.dumps(
        {
            "fleet": asdict(fleet),
            **asdict(found),
            "cores": found.cores,
            "memory_mib": found.memory_mib,
            "figures": msgspec.to_builtins(figures.sources),
        }
    )


def _lines(fleet: Fleet, found: Needs, figures: Figures) -> Iterator[str]:
    yield (
        f"{fleet.trackers:,} trackers with a fix every {fleet.interval_s:g} s, {fleet.zones:,}"
        f" zones: {found.fixes_per_s:,.1f} fixes/s in {found.messages_per_s:,.1f} messages/s"
    )
    yield ""
    yield f"{'':<12} {'cores':>13} {'memory':>13}"
    for name, process in found.processes.items():
        memory = "rest" if name == DATABASE else _mib(process.memory_mib)
        several = f"   {process.processes} processes" if process.processes > 1 else ""
        of_people = f"   and {_of_people(figures)}" if name == API else ""
        yield f"{name:<12} {_cores(process.cores):>13} {memory:>13}{several}{of_people}"
    yield f"{'all':<12} {_cores(found.cores):>13} {_mib(found.memory_mib):>13}"
    yield ""
    yield f"machine      {_machine(found)}"
    yield from _disk_lines(fleet, found)
    yield f"network      {_network(found)}"
    yield f"webhooks     {figures.events_per_fix:.0%} of the fixes give an event, each one webhook"
    yield from (f"{NOT_MEASURED} {why}" for why in found.not_measured)
    yield ""
    yield from _source_lines(figures)


def _disk_lines(fleet: Fleet, found: Needs) -> Iterator[str]:
    disk = found.disk
    yield (
        f"disk         {_size(disk.live_per_day)} a day, {_size(disk.live_per_day * 365)} a year;"
        f" {_size(disk.live)} in PostgreSQL after {fleet.retention_days} days"
    )
    if fleet.archive_after_days is not None:
        yield (
            f"archive      {_size(disk.archived_per_day)} a day,"
            f" {_size(disk.archived_per_day * 365)} a year; {_size(disk.archived)} after"
            f" {fleet.retention_days} days"
        )
    yield f"WAL          {_size(disk.wal_per_day)} a day, of which 4 GB at most stay on the disk"


def _source_lines(figures: Figures) -> Iterator[str]:
    now = datetime.now(UTC)
    for name, source in figures.sources.items():
        measured_at = datetime.fromisoformat(source.measured_at)
        yield (
            f"{name}: measured on {measured_at:%Y-%m-%d}, {max(0, (now - measured_at).days)} days"
            f" ago, at commit {source.commit} on {source.cores} cores of {source.cpu}"
        )


def _of_people(figures: Figures) -> str:
    of_list, a_hundred = figures.requests, 1e-4
    return (
        f"{of_list.api_us * a_hundred:.2f}, in PostgreSQL {of_list.database_us * a_hundred:.2f},"
        " for each 100 lists/s of people"
    )


def _machine(found: Needs) -> str:
    if found.cores is None or found.memory_mib is None:
        return NOT_MEASURED
    if found.machine is None:
        return "none of the sizes that we look at fits"
    return (
        f"{found.machine.cores} cores, {found.machine.memory_gib} GiB, of which {FREE:.0%} stay"
        " free for people, backlogs and caches"
    )


def _network(found: Needs) -> str:
    received, sent = found.received_bytes_per_s / MBIT, found.sent_bytes_per_s / MBIT
    return f"{received:,.2f} Mbit/s from trackers, {sent:,.2f} to them, TLS apart"


def _cores(cores: float | None) -> str:
    return NOT_MEASURED if cores is None else f"{cores:.2f}"


def _mib(mib: float | None) -> str:
    return NOT_MEASURED if mib is None else f"{mib:,.0f} MiB"


def _size(size_bytes: float) -> str:
    return f"{size_bytes / TB:,.1f} TB" if size_bytes >= TB else f"{size_bytes / GB:,.2f} GB"
