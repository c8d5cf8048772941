"""Bodies of templates of inspections, what comes in and what is shown."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from api.http import fields
from api.request.paging import SortedByNameQuery
from operations.inspections.answers import (
    MAX_NUMBER,
    MAX_OPTION_LENGTH,
    MAX_OPTIONS,
    MAX_QUESTIONS,
    MAX_TEXT_LENGTH,
    QuestionType,
)

_MAX_SECTIONS = 50
_ID = "^[a-z][a-z0-9_]*$"
_PRINTED: dict[str, Any] = {"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}


def _length(most: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=most)


def _printed(example: str | None) -> Any:
    return Field(examples=[example], json_schema_extra=_PRINTED)


_STORABLE = AfterValidator(fields.storable)
_Name = Annotated[fields.Name, Field(examples=["Daily check of a crane"])]
_Label = Annotated[str, _length(500), _STORABLE, _printed("Do the brakes hold?")]
_Title = Annotated[str, _length(200), _STORABLE, _printed("Chassis")]
_Option = Annotated[str, _length(MAX_OPTION_LENGTH), _STORABLE, _printed("worn")]
_Unit = Annotated[str, _length(20), _STORABLE, _printed("bar")]
QuestionId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=50),
    fields.shaped(_ID, "must be of small letters a to z, digits and '_', like oil_level"),
    Field(examples=["brakes"], json_schema_extra={"pattern": _ID}),
]
_Options = Annotated[
    Annotated[list[_Option], Field(min_length=1, max_length=MAX_OPTIONS)] | None,
    Field(description="two or more, of a choice alone", examples=[None]),
]
_Limit = Annotated[
    Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)] | None,
    Field(description="of a number alone, inclusive", examples=[None]),
]
_Equals = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": MAX_TEXT_LENGTH,
                    "examples": ["fail"],
                },
                {"type": "number"},
            ],
            "description": "a value that the answer to that question may have",
            "examples": ["fail"],
        }
    ),
]


class ShowIf(fields.Body):
    """The answer that makes a question appear, to an earlier question that appears itself."""

    question_id: QuestionId
    equals: _Equals


class TemplateQuestion(fields.Body):
    """A question of a template. docs/inspections.md has the answers to each type."""

    id: QuestionId
    type: QuestionType = Field(examples=["pass_fail"])
    label: _Label
    required: bool = True
    options: _Options = None
    minimum: _Limit = None
    maximum: _Limit = None
    unit: _Unit | None = Field(default=None, description="of a number alone", examples=[None])
    show_if: ShowIf | None = Field(
        default=None, description="null: the question always appears", examples=[None]
    )


class QuestionItem(BaseModel):
    """A question of a template."""

    id: QuestionId
    type: QuestionType = Field(examples=["pass_fail"])
    label: _Label
    required: bool
    options: _Options
    minimum: _Limit
    maximum: _Limit
    unit: _Unit | None
    show_if: ShowIf | None = Field(description="null: the question always appears")


class TemplateSection(fields.Body):
    """A section of a template."""

    title: _Title
    questions: Annotated[list[TemplateQuestion], Field(min_length=1, max_length=MAX_QUESTIONS)]


_Sections = Annotated[
    list[TemplateSection],
    Field(
        min_length=1,
        max_length=_MAX_SECTIONS,
        description=f"with at most {MAX_QUESTIONS} questions together",
    ),
]
_Version = Annotated[int, Field(ge=1, le=2**31 - 1, examples=[1])]
_Questions = Annotated[
    int, Field(ge=1, le=MAX_QUESTIONS, description="how many there are", examples=[1])
]


class InspectionTemplateItem(fields.StoredItem):
    """A template, without its questions."""

    id: fields.InspectionTemplateId
    name: _Name
    version: _Version
    questions: _Questions


class SectionItem(BaseModel):
    """A section of a template."""

    title: _Title
    questions: Annotated[list[QuestionItem], Field(max_length=MAX_QUESTIONS)]


class InspectionTemplateDetail(InspectionTemplateItem):
    """A template with the questions of one version: the newest unless another is asked for."""

    sections: Annotated[list[SectionItem], Field(max_length=_MAX_SECTIONS)]


class TemplateVersionItem(BaseModel):
    """A version of a template."""

    version: _Version
    name: _Name
    questions: _Questions
    created_by: fields.UserId
    created_at: datetime


class NewInspectionTemplate(fields.Body):
    """A new template."""

    name: _Name
    sections: _Sections


class InspectionTemplateChange(fields.Body):
    """The fields to change. `sections` are given as a whole."""

    name: _Name = Field(default_factory=fields.absent)
    sections: _Sections = Field(default_factory=fields.absent)


class InspectionTemplateQuery(SortedByNameQuery):
    """The filters of templates."""

    q: fields.NamePrefix | None = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False
