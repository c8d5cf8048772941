"""`data` of events of quotes."""

from typing import Annotated, get_args

from msgspec import Meta, Struct

from geofence.event_data.fields import id_field, word_field
from operations.quotes.evidence import AcceptedHow
from operations.quotes.states import QUOTE_STATES

QUOTE_CREATED = "quote.created"
QUOTE_SENT = "quote.sent"
QUOTE_ACCEPTED = "quote.accepted"
QUOTE_DECLINED = "quote.declined"
QUOTE_EXPIRED = "quote.expired"


def _text(description: str, example: str, most: int = 200) -> Meta:
    return Meta(description=description, max_length=most, examples=[example])


def _number(description: str, example: int) -> Meta:
    return Meta(description=description, ge=0, le=2**53 - 1, examples=[example])


class QuoteEvent(Struct):
    """A quote as it was after what happened to it."""

    quote_id: Annotated[str, id_field("quo", "the quote")]
    number: Annotated[int, _number("its number in the organization", 1042)]
    revision: Annotated[int, _number("its revision, from 1", 1)]
    client_id: Annotated[str, id_field("cli", "the client")]
    client_name: Annotated[str, _text("their name", "Keller Civil Works")]
    title: Annotated[str, _text("its title", "Excavation, lot 4")]
    status: Annotated[
        str,
        Meta(
            description="its status now",
            examples=["sent"],
            extra_json_schema={"enum": list(QUOTE_STATES)},
        ),
    ]
    total_cents: Annotated[
        int, _number("the total with tax, in minor units of the currency", 324_300)
    ]
    currency: Annotated[str, _text("of the total, ISO 4217", "CHF", 3)]
    valid_until: Annotated[
        str,
        Meta(
            description="the last day on which it can be accepted",
            max_length=10,
            examples=["2026-04-30"],
            extra_json_schema={"format": "date"},
        ),
    ]
    sent_to: (
        Annotated[str, _text("the address of the letter; null: none", "info@example.com", 254)]
        | None
    )
    decided_by: (
        Annotated[
            str, _text("who accepted or declined, by their own word; null: nobody", "Ann Lee")
        ]
        | None
    )
    decline_reason: (
        Annotated[str, _text("why they declined; null: not said", "Too late.", 2000)] | None
    )
    accepted_how: (
        Annotated[
            str,
            word_field(
                "by the customer's typed name or drawn signature, or by hand: a user noted it;"
                " null: not accepted",
                get_args(AcceptedHow),
                "drawn",
            ),
        ]
        | None
    )
    noted_by: (
        Annotated[
            str,
            id_field("usr", "the user who noted what the customer said elsewhere; null: nobody"),
        ]
        | None
    )
