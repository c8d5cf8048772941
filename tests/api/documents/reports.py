"""Reports to print: an inspection with photos and a signature, and a work order."""

from datetime import UTC, datetime
from typing import Any

from api.documents.item_pdf import ItemDocument
from api.documents.letterhead import NO_LETTERHEAD, Letterhead
from api.resources.inspections.forms import asked_sections, result_text, with_files
from languages.catalogue import say
from operations.inspections.answers import defects_of, questions_of
from tests.api.photos.pictures import picture, signature

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


def inspection(
    letterhead: Letterhead = NO_LETTERHEAD, organization: str = "Keller Tiefbau AG", **changes: Any
) -> ItemDocument:
    """Return the report of a crane that failed. changes: of the form or what is beside it."""
    form: dict[str, Any] = {
        "id": "insp_01jd8x0k2m4n6p8q0r2s4t6v8w",
        "template_name": "Daily check of a crane",
        "template_version": 3,
        "status": "submitted",
        "submitted_at": "2026-03-02T07:05:00Z",
        "supersedes_id": None,
        "superseded_by_id": None,
        "answers": ANSWERS,
    }
    beside: dict[str, Any] = {
        "sections": SECTIONS,
        "asset_name": "Crane 7, Liebherr LTM 1060",
        "site_name": "Lot 4, Lucerne",
        "site_address": "Bahnhofstrasse 12\n6003 Luzern",
        "employee_name": "Anna Keller",
        "submitted_by_name": "Anna Keller",
        "photos_url": "https://ops.example.com/inspection-photos/insp_1",
    }
    pictures: dict[str, Any] = {
        "photos": {"att_1": picture(), "att_2": picture("PNG", (40, 60))},
        "signatures": {"sign": signature()},
        "left_out": (),
    }
    for name, value in changes.items():
        next(of for of in (form, pictures, beside) if name in of or of is beside)[name] = value
    found = defects_of(questions_of(beside["sections"]), form["answers"])
    defects = beside.pop("defects", [each._asdict() for each in found])
    beside["sections"] = asked_sections(beside["sections"], form["answers"])
    document = ItemDocument(
        template="inspection",
        organization=organization,
        letterhead=letterhead,
        timezone="Europe/Zurich",
        content={
            "form": {**form, "defects": defects},
            "result": result_text(letterhead.language, len(defects)),
            **beside,
        },
        changed_at=AT,
    )
    return with_files(document, **pictures)


def work_order(
    letterhead: Letterhead = NO_LETTERHEAD, organization: str = "Keller Tiefbau AG", **changes: Any
) -> ItemDocument:
    """Return a work order that is done and signed. changes: of the item or what is beside it."""
    at = "2026-03-02T07:05:00Z"
    order: dict[str, Any] = {
        "id": "wo_01jd8x0k2m4n6p8q0r2s4t6v8w",
        "number": 48,
        "title": "Replace the crane's cable",
        "description": "The cable has broken wires near the hook.\n\nBring the spare drum.",
        "priority": "high",
        "status": "completed",
        "client_name": "Frei Immobilien AG",
        "site_name": "Lot 4, Lucerne",
        "assignee_names": ["Bruno Meier", "Anna Keller"],
        "asset_names": ["Crane 7, Liebherr LTM 1060"],
        "planned_start": at,
        "planned_end": "2026-03-02T15:05:00Z",
        "due_at": "2026-03-03T07:05:00Z",
        "started_at": at,
        "ended_at": "2026-03-02T14:40:00Z",
        "worked_s": 27_300,
        "checklist": [
            task("Lock the main switch.", at, "usr_1"),
            task("Measure the new cable."),
        ],
    }
    beside: dict[str, Any] = {
        "client_address": "Pilatusstrasse 3\n6003 Luzern",
        "site_address": "Bahnhofstrasse 12\n6003 Luzern",
        "users": {"usr_1": "Anna Keller"},
        "parts": [
            part("ROPE-20-1770", "Wire rope 20 mm, 1770 N/mm2", "m", 62.5, 61),
            part("CLAMP 4", "Clamp", "piece", 4, 0),
            part("GREASE", "Grease for wire ropes", "kg", 0, 0.75),
        ],
        "transition": transition(signer_name="Peter Frei", signed_at="2026-03-02T14:38:00Z"),
        "open_tasks": say(letterhead.language, "order-open-tasks", count=1, all=2),
        "signature": "signature.png",
        "photos": ["0.jpg", "1.jpg"],
        "files": ["Certificate of the cable.pdf", "Notes.txt"],
    }
    for name, value in changes.items():
        (order if name in order else beside)[name] = value
    photos = [picture("JPEG", (320, 240)), picture("JPEG", (180, 320))]
    return ItemDocument(
        template="work_order",
        organization=organization,
        letterhead=letterhead,
        timezone="Europe/Zurich",
        content={"order": order, **beside},
        files={"signature.png": signature(), "0.jpg": photos[0], "1.jpg": photos[1]},
        changed_at=AT,
    )


def task(text: str, at: str | None = None, by: str | None = None) -> dict[str, Any]:
    """Return an item of a checklist. at, by: when it was done, and the id of who did it."""
    return {"text": text, "done": at is not None, "by": by, "at": at}


def part(number: str, name: str, unit: str, planned: float, used: float) -> dict[str, Any]:
    """Return a part of a work order."""
    figures = {"planned": planned, "used": used}
    return {"part_number": number, "part_name": name, "unit": unit, **figures}


def transition(**given: Any) -> dict[str, Any]:
    """Return the last transition of a work order."""
    return {"reason": None, "signer_name": None, "signed_at": None, **given}
