"""The printed report, read back from the PDF, and its map."""

from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from shapely import Polygon

from api.documents.file_forms import Kind
from api.documents.letterhead import Letterhead
from api.documents.report_pdf import ReportDocument, ReportPrinter
from api.documents.timesheet import DocumentError
from api.documents.track_map import track_map
from geofence.shapes.types import Circle, Corridor, Polygonal
from languages.catalogue import names_in
from tests.api.documents.test_reports import flat, pages

pytestmark = pytest.mark.every_python

COLUMNS: dict[str, Kind] = {
    "asset_id": "text",
    "name": "text",
    "tag": "text",
    "day": "day",
    "departed_at": "time",
    "distance_m": "float",
    "driving_s": "float",
    "idle_s": "float",
    "driving_share": "float",
    "top_speed_mps": "float",
    "trips": "int",
    "is_carried": "bool",
}
ROW: dict[str, Any] = {
    "asset_id": "ast_1",
    "name": "#strong[Crane] = 7",
    "tag": None,
    "day": "2026-03-29",
    "departed_at": "2026-03-29T01:30:00Z",
    "distance_m": 1_234_567.0,
    "driving_s": 90_059.6,
    "idle_s": None,
    "driving_share": 0.0625,
    "top_speed_mps": 25.0,
    "trips": 1_200,
    "is_carried": True,
}
_printer = ReportPrinter(uses_system_fonts=False)


def document(**changes: Any) -> ReportDocument:
    given: dict[str, Any] = {
        "name": "day",
        "organization": "Keller Tiefbau AG",
        "letterhead": Letterhead("Bahnhofstrasse 12\n6003 Luzern"),
        "zone": ZoneInfo("Europe/Zurich"),
        "since": datetime(2026, 3, 28, 23, tzinfo=UTC),
        "until": datetime(2026, 3, 29, 22, tzinfo=UTC),
        "columns": COLUMNS,
        "rows": [ROW],
    }
    return ReportDocument(**given | changes)


def test_a_report_has_what_people_read() -> None:
    text = " ".join(pages(_printer.pdf(document())))
    for part in (
        "Keller Tiefbau AG",
        "Daily report",
        "29 Mar 2026 00:00 to 30 Mar 2026 00:00",
        "Europe/Zurich",
        "#strong[Crane] = 7 Sun 29 Mar 03:30 1,234.6 25:01 6.2% 90 1,200 ×",
    ):
        assert part in text
    for absent in ("ast_1", "Tag", "Idle", "Sum"):
        assert absent not in text


def test_sums_are_of_what_adds_up() -> None:
    text = flat(_printer.pdf(document(rows=[ROW, ROW | {"idle_s": 600.0}])))
    assert text.endswith("Sum2,469.150:010:102,400KellerTiefbauAGDailyreportPage1of1")
    tagged = flat(_printer.pdf(document(rows=[ROW | {"tag": "crane"}] * 2)))
    assert "Sum" not in tagged


def test_it_is_in_the_language_of_the_organization() -> None:
    german = document(letterhead=Letterhead(language="de"))
    text = " ".join(pages(_printer.pdf(german)))
    assert "Tagesbericht" in text
    assert "So, 29. März" in text
    assert "1.234,6" in text


def test_there_may_be_nothing_to_report_and_too_much() -> None:
    assert "There is nothing to report." in " ".join(pages(_printer.pdf(document(rows=[]))))
    with pytest.raises(DocumentError):
        _printer.pdf(document(rows=[ROW] * 10_000))


def test_every_printed_column_has_a_text() -> None:
    named = set(names_in("report-column"))
    for name in COLUMNS.keys() - {"asset_id"}:
        assert f"report-column-{name.replace('_', '-')}" in named


def drawn(*, lon: float = 8.0) -> bytes:
    way = np.linspace(0, 0.1, 1_000)
    square = Polygon([(lon, 47), (lon + 0.05, 47), (lon + 0.05, 47.02), (lon, 47.02)])
    zones = [
        ("Yard & <Depot>", Circle(lon, 47.0, 500.0)),
        ("Quarry", Polygonal(square)),
        ("Road", Corridor(np.array([[lon, 47.0], [lon + 0.1, 47.05]]), 300.0)),
    ]
    east = (lon + way + 540) % 360 - 180
    return track_map(47 + way / 2, east, [(47.0, lon), (47.0, lon), (47.05, lon + 0.1)], zones)


def test_a_map_has_the_way_the_stops_and_the_zones() -> None:
    root = ElementTree.fromstring(drawn())
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["Yard & <Depot>", "Quarry", "Road", "1, 2", "3", "2 km"]
    way = next(root.iter("{http://www.w3.org/2000/svg}polyline"))
    assert "stroke-opacity" in way.attrib  # the corridor lies below
    *_, last = root.iter("{http://www.w3.org/2000/svg}polyline")
    points = [tuple(map(float, each.split(","))) for each in last.attrib["points"].split()]
    assert len(points) == 2  # a straight way needs no more
    (west, south), (east, north) = points
    assert west < east
    assert north < south
    assert all(0 < x < 1_000 and 0 < y < 560 for x, y in points)


def test_a_map_goes_on_across_180_degrees() -> None:
    (across,), (usual,) = [
        [
            each.attrib["points"]
            for each in ElementTree.fromstring(svg).iter()
            if "points" in each.attrib
        ][-1:]
        for svg in (drawn(lon=179.95), drawn())
    ]
    assert across == usual


def test_a_map_of_one_place() -> None:
    svg = track_map(np.array([90.0]), np.array([0.0]), [(90.0, 0.0)], [])
    assert b"nan" not in svg
    ElementTree.fromstring(svg)


def test_the_map_is_printed() -> None:
    plain = _printer.pdf(document())
    content = _printer.pdf(document(drawing=drawn()))
    text = " ".join(pages(content))
    for part in ("Quarry", "Yard & <Depot>", "1, 2", "2 km"):
        assert part in text
    assert len(content) > len(plain)
    assert _printer.pdf(document(drawing=drawn())) == content
