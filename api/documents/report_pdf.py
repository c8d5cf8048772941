"""The PDF of a report: a table of its rows, with sums where they add up, and a map if it has one.

Ids and places are for programs, and are not printed; nor is a column in which nothing stands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from api.documents.file_forms import Kind
from api.documents.letterhead import Letterhead, printed_letterhead
from api.documents.texts import duration, one_line
from api.documents.typst_printer import TypstPrinter, check_length, template
from languages.catalogue import named, say
from languages.dates import day_of_week, full_time, local_time
from languages.language import Language
from languages.numbers import figure, percent

_UNPRINTED = ("is_cut", "has_gap", "odometer_m", "mean_speed_mps", "dwelled_at")
_SUMMED = frozenset(
    {
        *("distance_m", "driving_s", "stopped_s", "idle_s", "trips", "stops", "duration_s"),
        *("within_s", "time_s", "parked_s", "unknown_s"),
    }
)
_KMH_PER_MPS = 3.6


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDocument:
    """A report to print. name: as its path ends. columns: kinds by name. drawing: SVG; b"" where
    there is no map.
    """

    name: str
    organization: str
    letterhead: Letterhead
    zone: ZoneInfo
    since: datetime
    until: datetime
    columns: Mapping[str, Kind]
    rows: Sequence[Mapping[str, Any]]
    drawing: bytes = b""


class ReportPrinter(TypstPrinter):
    """A printer of reports."""

    def pdf(self, document: ReportDocument) -> bytes:
        """Return the PDF. Raises DocumentError where it is too long."""
        letterhead = document.letterhead
        language, zone = letterhead.language, document.zone
        columns = _printed(document)

        def write(name: str, kind: Kind, value: Any) -> str:
            if kind == "time" and value is not None:
                at = local_time(datetime.fromisoformat(value), zone)
                clock, day = f"{at:%H:%M}", day_of_week(language, at.date())
                # Beside its day a time of day is enough.
                return clock if "day" in columns else say(language, "moment", day=day, time=clock)
            return _cell(language, name, kind, value)

        texts = {
            "letterhead": printed_letterhead(document.organization, letterhead),
            "title": named(language, "report-title", document.name),
            "span": say(
                language,
                "report-span",
                start=full_time(language, document.since, zone),
                end=full_time(language, document.until, zone),
            ),
            "time_zone": zone.key,
            "columns": [named(language, "report-column", name) for name in columns],
            "is_text": [kind in ("text", "json") for kind in columns.values()],
            "rows": [
                [write(name, kind, row[name]) for name, kind in columns.items()]
                for row in document.rows
            ],
            "sums": _sums(language, columns, document.rows, write),
            "map": "map.svg" if document.drawing else "",
        }
        check_length(texts)
        files = {**letterhead.files}
        if document.drawing:
            files["map.svg"] = document.drawing
        return self.printed(template("report"), language, texts, document.until, files)


def _printed(document: ReportDocument) -> dict[str, Kind]:
    """Return the columns that are printed."""
    return {
        name: kind
        for name, kind in document.columns.items()
        if is_for_people(name) and any(row[name] not in (None, False) for row in document.rows)
    }


def is_for_people(name: str) -> bool:
    """Return whether a column is printed where something stands in it."""
    return not name.endswith(("_id", "lat", "lon")) and name not in _UNPRINTED


def _sums(
    language: Language,
    columns: Mapping[str, Kind],
    rows: Sequence[Mapping[str, Any]],
    write: Callable[[str, Kind, Any], str],
) -> list[str]:
    """Return the cells of the last row; none where rows do not add up: a thing with two tags, or
    that is at two places, stands in both.
    """
    if len(rows) < 2 or "tag" in columns or "presence_s" in columns:
        return []
    cells: list[str] = []
    for name, kind in columns.items():
        cell = ""
        if name in _SUMMED:
            cell = write(name, kind, sum(row[name] or 0 for row in rows))
        cells.append(cell)
    return [say(language, "report-sum"), *cells[1:]] if any(cells) else []


def _cell(language: Language, name: str, kind: Kind, value: Any) -> str:
    if value is None:
        return ""
    match kind:
        case "day":
            return day_of_week(language, date.fromisoformat(value))
        case "bool":
            return "×" if value else ""
        case "float":
            return _measure(language, name, value)
        case "int":
            return figure(language, f"{value:,}")
        case _:
            return one_line(str(value))


def _measure(language: Language, name: str, value: float) -> str:
    unit = name.rpartition("_")[2]
    write = _MEASURES.get(unit)
    return figure(language, f"{value:,.1f}") if write is None else write(language, value)


_MEASURES: Mapping[str, Callable[[Language, float], str]] = {
    "m": lambda language, value: figure(language, f"{value / 1_000:,.1f}"),
    "s": lambda _, value: str(duration(round(value), shows_seconds=False)),
    "mps": lambda language, value: figure(language, f"{value * _KMH_PER_MPS:,.0f}"),
    "share": lambda language, value: percent(language, f"{100 * value:.1f}"),
}
