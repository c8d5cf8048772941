"""The messages of clients over WebSocket, read into values.

Each is a JSON object with `op`: `authenticate`, `subscribe`, `unsubscribe`, `ping`. A message that
cannot be read is a BadMessage, which says what is wrong where.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from api.live.feeds.positions import WantedPositions
from api.openapi.event_types import chosen_types
from telemetry.ids import IdError, parse_id

MOST_TYPES = 50
MOST_IDS = 1_000
_MOST_SEQ = 2**63 - 1

_Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_Ids = Annotated[list[str], Meta(min_length=1, max_length=MOST_IDS)]
_Lon = Annotated[float, Meta(ge=-180, le=180)]
_Lat = Annotated[float, Meta(ge=-90, le=90)]


class BadMessage(Exception):
    """A message that is not one of ours. id: the one that it has, if it could be read."""

    def __init__(self, detail: str, id: int | None = None) -> None:
        super().__init__(detail)
        self.id = id


class _Message(Struct, tag_field="op", forbid_unknown_fields=True, kw_only=True):
    pass


class Authenticate(_Message, tag="authenticate"):
    """The first message. Without a token the cookie of the dashboard's session counts."""

    id: _Number | None = None
    token: Annotated[str, Meta(max_length=4096)] | None = None


class PositionFilter(Struct, forbid_unknown_fields=True):
    client_id: Annotated[str, Meta(max_length=40)] | None = None


class Subscribe(_Message, tag="subscribe"):
    """A subscription to a channel. `types` and `after` are of events, the rest of positions: of
    assets or, by `employee_ids` or `of`, of employees.
    """

    id: _Number
    channel: Literal["events", "positions"]
    types: Annotated[list[str], Meta(min_length=1, max_length=MOST_TYPES)] | None = None
    after: Annotated[int, Meta(ge=0, le=_MOST_SEQ)] | None = None
    of: Literal["assets", "employees"] | None = None
    asset_ids: _Ids | None = None
    employee_ids: _Ids | None = None
    bbox: tuple[_Lon, _Lat, _Lon, _Lat] | None = None
    filter: PositionFilter | None = None

    @property
    def is_of_employees(self) -> bool:
        """Whether it is for positions of employees."""
        return self.of == "employees" or (self.of is None and self.employee_ids is not None)

    def check(self) -> None:
        """Raise BadMessage for a field of another channel, or of other positions."""
        others = {
            "events": ("of", "asset_ids", "employee_ids", "bbox", "filter"),
            "positions": ("types", "after"),
        }
        for name in others[self.channel]:
            if getattr(self, name) is not None:
                raise BadMessage(f"`{name}` is not a field of the channel {self.channel}.", self.id)
        for name in ("asset_ids", "filter") if self.is_of_employees else ("employee_ids",):
            if getattr(self, name) is not None:
                of = "employees" if self.is_of_employees else "assets"
                raise BadMessage(f"`{name}` is not a field of positions of {of}.", self.id)

    def wanted_types(self) -> frozenset[str] | None:
        """Return the wanted types of events; None: all. Raises BadMessage."""
        try:
            return None if self.types is None else chosen_types(self.types)
        except ValueError as error:
            raise BadMessage(f"`types`: each {error}.", self.id) from None

    def wanted_positions(self) -> WantedPositions:
        """Return the wanted positions. Raises BadMessage."""
        if self.bbox is not None and self.bbox[1] > self.bbox[3]:
            raise BadMessage("`bbox` must be [west, south, east, north], south first.", self.id)
        client_id = None if self.filter is None else self.filter.client_id
        prefix, ids = (
            ("emp", self.employee_ids) if self.is_of_employees else ("ast", self.asset_ids)
        )
        try:
            return WantedPositions(
                None if ids is None else frozenset(parse_id(prefix, text) for text in ids),
                self.bbox,
                None if client_id is None else parse_id("cli", client_id),
            )
        except IdError as error:
            raise BadMessage(f"An id is not valid: {error}.", self.id) from None


class Unsubscribe(_Message, tag="unsubscribe"):
    id: _Number


class Ping(_Message, tag="ping"):
    """A question whether the server is there, for clients that cannot send a ping frame."""

    id: _Number | None = None


Message: TypeAlias = Authenticate | Subscribe | Unsubscribe | Ping
_decoder = msgspec.json.Decoder(Message)


class _Identified(Struct):
    id: _Number | None = None


def read_message(text: str) -> Message:
    """Return a client's message. Raises BadMessage."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BadMessage(f"The message cannot be read: {error}.", _id_of(text)) from None
    except RecursionError:
        raise BadMessage("The message is nested too deep.") from None


def _id_of(text: str) -> int | None:
    try:
        return msgspec.json.decode(text, type=_Identified).id
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
