"""Ids in a body, or in the query of a list: the thing that an id names must be there.

Which fields hold ids, and of which kind, is known from their types (`api.http.fields`). An id that
names nothing, or something of another organization, is a 404 that points at its field or parameter,
or a 422 that points at each such id of a list. What a body names must not be deleted, and stays
until the transaction ends.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel

from api.http.fields import Query, kind_in, parts_of
from api.http.problems import Fault, Problem, conflict, not_found
from db.core.connect import Connection
from db.resources.kinds import KINDS, Kind, lock_all_existing
from db.resources.work_orders import open_numbers

_MOST_ORDERS_TOLD = 10


class Reference(NamedTuple):
    """An id in a body. pointer: where it stands."""

    kind: Kind
    id: UUID
    pointer: str
    is_in_list: bool

    @property
    def fault(self) -> Fault:
        """The fault of an id that names nothing."""
        return Fault(f"There is no such {self.kind.noun}.", pointer=self.pointer)


async def check_references(conn: Connection, body: BaseModel) -> None:
    """Raise Problem where an id of the body names nothing: 404 for the first of single ids, 422 for
    all that stand in lists.
    """
    missing = await missing_references(conn, references_in(body))
    for each in missing:
        if not each.is_in_list:
            raise not_found(each.kind.noun, fault=each.fault)
    if missing:
        faults = tuple(each.fault for each in missing)
        raise Problem(422, "invalid_body", "The body is not valid.", faults=faults)


async def check_reference(conn: Connection, kind: Kind, row_id: UUID) -> None:
    """Raise Problem (404) where the id in the field `<kind>_id` of a body names nothing."""
    reference = Reference(kind, row_id, f"/{kind.name}_id", is_in_list=False)
    if await missing_references(conn, [reference]):
        raise not_found(kind.noun, fault=reference.fault)


def references_in(value: object, pointer: str = "") -> Iterator[Reference]:
    """Yield the ids in a body, or in a list of bodies, in their order."""
    if isinstance(value, list):
        for place, each in enumerate(value):
            yield from references_in(each, f"{pointer}/{place}")
    elif isinstance(value, BaseModel):
        for name, kind in _fields_with_references(type(value)):
            held = getattr(value, name)
            if kind is None:
                yield from references_in(held, f"{pointer}/{name}")
            elif isinstance(held, list):
                for place, row_id in enumerate(held):
                    yield Reference(kind, row_id, f"{pointer}/{name}/{place}", is_in_list=True)
            elif isinstance(held, tuple):  # one text with commas
                for row_id in held:
                    yield Reference(kind, row_id, f"{pointer}/{name}", is_in_list=True)
            elif held is not None:
                yield Reference(kind, held, f"{pointer}/{name}", is_in_list=False)


@cache
def _fields_with_references(model: type[BaseModel]) -> tuple[tuple[str, Kind | None], ...]:
    """Return the fields that hold ids of a kind that is looked up, and with None for the kind those
    that hold bodies.
    """
    found: list[tuple[str, Kind | None]] = []
    for name, field in model.model_fields.items():
        kind = kind_in(field)
        if kind is not None and kind.table is not None:
            found.append((name, kind))
        elif kind is None and any(map(_is_body, parts_of(field))):
            found.append((name, None))
    return tuple(found)


def _is_body(part: object) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)


async def missing_references(conn: Connection, references: Iterable[Reference]) -> list[Reference]:
    """Return the references that name nothing. The things of the others stay until the transaction
    ends.
    """
    wanted, ids = list(references), dict[Kind, set[UUID]]()
    for each in wanted:
        ids.setdefault(each.kind, set()).add(each.id)
    if not ids:
        return []
    there = await lock_all_existing(conn, ids)
    return [each for each in wanted if each.id not in there[each.kind]]


async def check_owners(conn: Connection, kind: Kind, row: object, owners: Sequence[str]) -> None:
    """Raise Problem (409) where an owner of a row that is to be restored is deleted. owners: their
    kinds; the row has `<kind>_id` of each.
    """
    for name in owners:
        owner_id: UUID | None = getattr(row, f"{name}_id")
        if owner_id is not None and not await KINDS[name].lock_existing(conn, [owner_id]):
            noun = KINDS[name].noun
            detail = f"The {kind.noun}'s {noun} is deleted: restore it first."
            raise conflict(f"{name}_deleted", detail)


async def check_in_no_open_order(
    conn: Connection, things: Literal["assignees", "assets"], thing_id: UUID, verb: str
) -> None:
    """Raise Problem (409) for a thing that is to be deleted and that work orders name which have
    not ended. verb: what they do, like "are assigned to them".
    """
    numbers = await open_numbers(conn, things, thing_id, _MOST_ORDERS_TOLD + 1)
    if numbers:
        told = ", ".join(map(str, numbers[:_MOST_ORDERS_TOLD]))
        more = " and more" if len(numbers) > _MOST_ORDERS_TOLD else ""
        detail = f"Work orders that have not ended {verb}: {told}{more}."
        raise conflict("in_use", f"{detail} Change or end these first.")


async def check_filters(conn: Connection, query: Query) -> None:
    """Raise Problem (404) for the first id of a query that names nothing.

    What is deleted still has a past.
    """
    for name, kind in _fields_with_references(type(query)):
        given = None if kind is None else getattr(query, name)
        if kind is None or given is None:
            continue
        ids = given if isinstance(given, tuple) else (given,)
        if not await kind.existed(conn, ids) >= {*ids}:
            fault = Fault(f"There is no such {kind.noun}.", parameter=name)
            raise not_found(kind.noun, fault=fault)
