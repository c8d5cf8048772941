"""The scope of a zone: its schedule, and the ids and tags of its assets."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, WithJsonSchema, model_validator

from api.http import fields
from api.http.encoding import id_text
from api.http.problems import Fault, Problem, bad_field
from db.core.connect import Connection
from db.resources import assets
from geofence.model.schedule import DAYS, MAX_WINDOWS, ScheduleError, parse_schedule

MAX_IDS = 1_000


def _wall_time(example: str) -> dict[str, Any]:
    pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"
    return {"type": "string", "pattern": pattern, "maxLength": 5, "examples": [example]}


Schedule = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "description": "the hours outside which nothing alerts, in the time of a place",
            "required": ["timezone", "windows"],
            "properties": {
                "timezone": {
                    "type": "string",
                    "pattern": "^[A-Za-z0-9_+/-]+$",
                    "maxLength": 100,
                    "examples": ["Europe/Zurich"],
                },
                "windows": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_WINDOWS,
                    "items": {
                        "type": "object",
                        "required": ["days", "from", "to"],
                        "properties": {
                            "days": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": len(DAYS),
                                "uniqueItems": True,
                                "items": {"type": "string", "enum": list(DAYS)},
                            },
                            "from": _wall_time("18:00"),
                            "to": _wall_time("06:00"),
                        },
                    },
                },
            },
        }
    ),
]


class AssetChoice(fields.Body):
    """Assets of these ids, and assets that have any of these tags."""

    ids: list[fields.AssetId] = Field(default_factory=list, max_length=MAX_IDS)
    tags: fields.Tags = Field(default_factory=list)

    @model_validator(mode="after")
    def _not_empty(self) -> "AssetChoice":
        if not self.ids and not self.tags:
            raise ValueError("names no asset: give ids or tags, or null for all assets")
        return self


class ChosenAssets(BaseModel):
    """Assets of these ids, and assets that have any of these tags."""

    ids: list[fields.AssetId] = Field(max_length=MAX_IDS)
    tags: fields.Tags


def check_schedule(schedule: Mapping[str, Any] | None) -> None:
    """Raise Problem: 422 with the place of the fault."""
    try:
        if schedule is not None:
            parse_schedule(schedule)
    except ScheduleError as error:
        raise bad_field(f"/schedule{error.pointer}", error.problem) from None


async def check_assets(conn: Connection, chosen: AssetChoice | None) -> None:
    """Raise Problem: 422 with the place of each id that the organization has no asset of."""
    if chosen is None:
        return
    missing = await assets.missing(conn, chosen.ids)
    if missing:
        faults = tuple(
            Fault("There is no such asset.", pointer=f"/assets/ids/{place}")
            for place, asset_id in enumerate(chosen.ids)
            if asset_id in missing
        )
        raise Problem(422, "invalid_body", "The body is not valid.", faults=faults)


def stored_assets(chosen: AssetChoice | None) -> dict[str, list[str]] | None:
    """Return the choice as the database has it: each once, in order."""
    if chosen is None:
        return None
    return {"ids": sorted({str(each) for each in chosen.ids}), "tags": sorted(set(chosen.tags))}


def shown_assets(chosen: Mapping[str, list[str]] | None) -> dict[str, list[str]] | None:
    """Return as the API writes it what `stored_assets` gave."""
    if chosen is None:
        return None
    return {"ids": [id_text("ast", UUID(each)) for each in chosen["ids"]], "tags": chosen["tags"]}
