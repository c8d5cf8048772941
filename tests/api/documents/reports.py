"""Reports to print: an inspection with photos and a signature, and a work order."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from api.documents.inspection_pdf import InspectionReport
from api.documents.work_order_pdf import SheetPart, SheetSignature, SheetTask, WorkOrderSheet
from operations.inspections.answers import defects_of, questions_of
from tests.api.photos.pictures import picture, signature

ZURICH = ZoneInfo("Europe/Zurich")
AT = datetime(2026, 3, 2, 7, 5, tzinfo=UTC)
_PLAIN: dict[str, Any] = {"required": True, "options": None, "minimum": None, "maximum": None}


def question(id_: str, type_: str, label: str, **more: Any) -> dict[str, Any]:
    """Return a question as it is stored."""
    return {
        "id": id_,
        "type": type_,
        "label": label,
        "unit": None,
        "show_if": None,
        **_PLAIN,
        **more,
    }


SECTIONS = [
    {
        "title": "Chassis",
        "questions": [
            question("brakes", "pass_fail", "Do the brakes hold?"),
            question(
                "wear",
                "choice",
                "How worn are the pads?",
                options=["a little", "badly"],
                show_if={"question_id": "brakes", "equals": "fail"},
            ),
            question(
                "hidden",
                "text",
                "Why do they hold?",
                show_if={"question_id": "brakes", "equals": "pass"},
            ),
            question("pictures", "photo", "Photos of the pads", required=False),
            question("pressure", "number", "Pressure of the tyres", unit="bar"),
        ],
    },
    {
        "title": "Boom",
        "questions": [
            question("cable", "pass_fail", "Is the cable free of broken wires?"),
            question("remarks", "text", "Remarks", required=False),
            question("next", "date", "Next inspection"),
            question("place", "position", "Where does the crane stand?"),
            question("sign", "signature", "Signature of the inspector"),
        ],
    },
]
ANSWERS = {
    "brakes": {"value": "fail", "note": "The left one drags.\nPads are worn to 2 mm."},
    "wear": {"value": "badly"},
    "pictures": {"value": ["att_1", "att_2", "att_3"]},
    "pressure": {"value": 8.25},
    "cable": {"value": "pass"},
    "next": {"value": "2027-03-01"},
    "place": {"value": {"lat": 47.0504, "lon": 8.3093, "accuracy_m": 5}},
    "sign": {"value": "..."},
}


def inspection(**changes: Any) -> InspectionReport:
    """Return the report of a crane that failed."""
    values: dict[str, Any] = {
        "form_id": "insp_01jd8x0k2m4n6p8q0r2s4t6v8w",
        "organization": "Keller Tiefbau AG",
        "timezone": ZURICH,
        "template_name": "Daily check of a crane",
        "template_version": 3,
        "state": "submitted",
        "asset": "Crane 7, Liebherr LTM 1060",
        "site": "Lot 4, Lucerne",
        "address": "Bahnhofstrasse 12\n6003 Luzern",
        "employee": "Anna Keller",
        "submitted_by": "Anna Keller",
        "submitted_at": AT,
        "corrects_id": "",
        "corrected_by_id": "",
        "changed_at": AT,
        "sections": SECTIONS,
        "answers": ANSWERS,
        "photos": {"att_1": picture(), "att_2": picture("PNG", (40, 60))},
        "photos_url": "https://ops.example.com/inspection-photos/insp_1",
        "signatures": {"sign": signature()},
        **changes,
    }
    defects = defects_of(questions_of(values["sections"]), values["answers"])
    return InspectionReport(**{"defects": defects, **values})


def work_order(**changes: Any) -> WorkOrderSheet:
    """Return a work order that is done and signed."""
    values: dict[str, Any] = {
        "order_id": "wo_01jd8x0k2m4n6p8q0r2s4t6v8w",
        "organization": "Keller Tiefbau AG",
        "timezone": ZURICH,
        "number": 48,
        "title": "Replace the crane's cable",
        "description": "The cable has broken wires near the hook.\n\nBring the spare drum.",
        "priority": "high",
        "state": "completed",
        "reason": "",
        "client": "Frei Immobilien AG",
        "client_address": "Pilatusstrasse 3\n6003 Luzern",
        "site": "Lot 4, Lucerne",
        "site_address": "Bahnhofstrasse 12\n6003 Luzern",
        "assignees": ["Anna Keller", "Bruno Meier"],
        "assets": ["Crane 7, Liebherr LTM 1060"],
        "planned_start": AT,
        "planned_end": AT.replace(hour=15),
        "due_at": AT.replace(day=3),
        "started_at": AT,
        "ended_at": AT.replace(hour=14, minute=40),
        "worked_s": 27_300,
        "checklist": [
            SheetTask("Lock the main switch.", True, "Anna Keller", AT),
            SheetTask("Measure the new cable.", False, "", None),
        ],
        "parts": [
            SheetPart("ROPE-20-1770", "Wire rope 20 mm, 1770 N/mm2", "m", 62_500, 61_000),
            SheetPart("CLAMP 4", "Clamp", "piece", 4_000, 0),
            SheetPart("GREASE", "Grease for wire ropes", "kg", 0, 750),
        ],
        "signature": SheetSignature("Peter Frei", AT.replace(hour=14, minute=38), signature()),
        "photos": [picture("JPEG", (320, 240)), picture("JPEG", (180, 320))],
        "files": ["Certificate of the cable.pdf", "Notes.txt"],
        "changed_at": AT,
    }
    return WorkOrderSheet(**{**values, **changes})
