"""The parts of the OpenAPI document that all operations share: who we are, errors, headers.

The texts are data, in `components.yaml`.
"""

from collections.abc import Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from api.http.problems import MEDIA_TYPE, MOST_FAULTS, FaultCode

SCHEMAS = "#/components/schemas/"
SIGNED_IN: tuple[Mapping[str, Any], ...] = ({"bearer": []}, {"password": []})

COMPONENTS: Mapping[str, Any] = yaml.safe_load(
    files("api.openapi").joinpath("components.yaml").read_text("utf-8")
)
IF_NONE_MATCH: dict[str, Any] = COMPONENTS["parameters"]["if_none_match"]
IF_MATCH: dict[str, Any] = COMPONENTS["parameters"]["if_match"]
IDEMPOTENCY_KEY: dict[str, Any] = COMPONENTS["parameters"]["idempotency_key"]
POSITION: dict[str, Any] = COMPONENTS["parameters"]["position"]
_REQUEST_ID = COMPONENTS["headers"]["X-Request-Id"]["example"]

_Text = Annotated[str, Field(max_length=10_000)]


class FaultItem(BaseModel):
    """One thing that is wrong."""

    message: Annotated[_Text, Field(examples=["There is no such parameter."])]
    pointer: _Text | None = Field(
        default=None, description="JSON pointer into the body", examples=["/name"]
    )
    parameter: _Text | None = Field(
        default=None, description="name of a query parameter", examples=["asset"]
    )
    code: FaultCode | None = Field(
        default=None, description="stable, for programs; not every fault has one"
    )
    limit: float | None = Field(
        default=None, description="the bound, of a code that has one", examples=[200]
    )


class ProblemDocument(BaseModel):
    """An error (RFC 9457). A problem with a geometry adds ring, vertex, position and repaired."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[_Text, Field(examples=["about:blank"])]
    title: Annotated[_Text, Field(examples=["Bad Request"])]
    status: int = Field(ge=400, le=599, examples=[400])
    detail: Annotated[_Text, Field(examples=["The body is not valid."])]
    code: str = Field(
        description="stable, for programs",
        pattern="^[a-z][a-z0-9_]*$",
        max_length=100,
        examples=["invalid_body"],
    )
    errors: list[FaultItem] = Field(max_length=MOST_FAULTS)
    request_id: str = Field(pattern="^[A-Za-z0-9._-]+$", max_length=64, examples=[_REQUEST_ID])


def problem_responses() -> dict[str, dict[str, Any]]:
    """Return the documented response of each error, by its name."""
    return {
        problem["name"]: _problem_response(status, problem)
        for status, problem in COMPONENTS["problems"].items()
    }


def _problem_response(status: int, problem: Mapping[str, str]) -> dict[str, Any]:
    example = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": problem["detail"],
        "code": problem["code"],
        "errors": [],
        "request_id": _REQUEST_ID,
    }
    return {
        "description": problem["description"],
        "headers": headers_of(str(status)),
        "content": {
            MEDIA_TYPE: {"schema": {"$ref": SCHEMAS + "ProblemDocument"}, "example": example}
        },
    }


def headers_of(status: str, *, is_change: bool = False) -> dict[str, Any]:
    """Return the headers that every answer of a status has, or that of a change."""
    of = COMPONENTS["headers_of"]
    names = of["*"] + of.get(status, []) + (of["change"] if is_change else [])
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
