"""The OpenAPI document, with what FastAPI does not know of: problem documents."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from api.problems import MEDIA_TYPE

_SCHEMAS = "#/components/schemas/"

PROBLEMS: Mapping[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong, and where",
        "content": {MEDIA_TYPE: {"schema": {"$ref": _SCHEMAS + "ProblemDocument"}}},
    }
}


class FaultItem(BaseModel):
    """One thing that is wrong."""

    message: str
    pointer: str | None = Field(default=None, description="JSON pointer into the body")
    parameter: str | None = Field(default=None, description="name of a query parameter")


class ProblemDocument(BaseModel):
    """An error (RFC 9457). A problem with a geometry adds ring, vertex, position and repaired."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="stable, for programs")
    errors: list[FaultItem]
    request_id: str


def complete(app: FastAPI) -> dict[str, Any]:
    """The document of `app`, whose routes must all be there; kept by the application."""
    document = app.openapi()
    _, schemas = models_json_schema(
        [(ProblemDocument, "serialization")], ref_template=_SCHEMAS + "{model}"
    )
    document["components"]["schemas"] |= schemas["$defs"]
    return document
