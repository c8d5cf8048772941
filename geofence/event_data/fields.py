"""Fields that `data` of several events has: ids, names, times and words, with their bounds."""

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

_NAME_CHARACTERS = 200


def id_field(prefix: str, description: str) -> Meta:
    return Meta(
        description=description,
        pattern=f"^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$",
        max_length=len(prefix) + 27,
        examples=[f"{prefix}_01jd8x0k2m4n6p8q0r2s4t6v8w"],
    )


def name_field(description: str, example: str) -> Meta:
    return Meta(description=description, max_length=_NAME_CHARACTERS, examples=[example])


def time_field(description: str, example: str) -> Meta:
    """Return the annotation of a time, RFC 3339 in UTC."""
    return Meta(
        description=description,
        max_length=40,
        examples=[example],
        extra_json_schema={"format": "date-time"},
    )


def word_field(description: str, words: Iterable[str], example: str) -> Meta:
    return Meta(
        description=description, examples=[example], extra_json_schema={"enum": list(words)}
    )


AccuracyM = Annotated[
    float | None, Meta(description="of that fix, metres; null: not known", examples=[4.0])
]
