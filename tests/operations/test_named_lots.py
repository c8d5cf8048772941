"""Lots and serials: what a movement names, and that no sequence of movements breaks them."""

from collections import Counter
from datetime import date
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from operations.errors import RuleError
from operations.stock import (
    MILLI,
    MOVEMENT_KINDS,
    NOTHING_NAMED,
    MovementKind,
    NamedLots,
    PartTracking,
    StockChange,
    StockError,
    StockLevel,
    change_of,
    changed,
    check_after,
    check_lots,
    check_named,
)

DAY = date(2030, 1, 31)
LOT, SERIALS = NamedLots("A"), NamedLots(serials=["S1", "S2"])
RESERVING: tuple[MovementKind, ...] = ("reserve", "release")


def _refused_field(
    tracking: PartTracking, kind: MovementKind, quantity_milli: int, named: NamedLots
) -> str | None:
    try:
        check_named(tracking, kind, quantity_milli, named)
    except RuleError as error:
        return error.field
    return None


@pytest.mark.parametrize(
    ("tracking", "named", "moves", "reserves"),
    [
        ("none", NOTHING_NAMED, None, None),
        ("none", LOT, "lot", "lot"),
        ("none", SERIALS, "serials", "serials"),
        ("lot", NOTHING_NAMED, "lot", None),
        ("lot", LOT, None, "lot"),
        ("lot", SERIALS, "serials", "serials"),
        ("lot", NamedLots("A", ["S1", "S2"]), "serials", "lot"),
        ("serial", NOTHING_NAMED, "serials", None),
        ("serial", LOT, "lot", "lot"),
        ("serial", SERIALS, None, "serials"),
        ("serial", NamedLots(serials=["S1"]), "serials", "serials"),
        ("serial", NamedLots(serials=["S1", "S1"]), "serials", "serials"),
        ("serial", NamedLots("A", ["S1", "S2"]), "lot", "lot"),
    ],
)
def test_a_movement_of_two_names_what_the_tracking_wants(
    tracking: PartTracking, named: NamedLots, moves: str | None, reserves: str | None
) -> None:
    """moves, reserves: the field that is refused. A count of serials is refused in any case."""
    for kind in MOVEMENT_KINDS:
        wanted = reserves if kind in RESERVING else moves
        if tracking == "serial" and kind == "count" and wanted != "lot":
            wanted = "kind"
        assert _refused_field(tracking, kind, 2 * MILLI, named) == wanted, kind


@pytest.mark.parametrize("kind", MOVEMENT_KINDS)
def test_pieces_with_serials_are_whole(kind: MovementKind) -> None:
    named = NOTHING_NAMED if kind in RESERVING else SERIALS
    assert _refused_field("serial", kind, 1_500, named) == "quantity"
    assert _refused_field("lot", kind, 1_500, NOTHING_NAMED if kind in RESERVING else LOT) is None


def test_fewer_pieces_are_adjusted_by_as_many_serials() -> None:
    assert _refused_field("serial", "adjust", -2 * MILLI, SERIALS) is None
    assert _refused_field("serial", "adjust", -MILLI, SERIALS) == "serials"


@pytest.mark.parametrize("kind", MOVEMENT_KINDS)
def test_a_day_of_expiry_is_given_with_what_is_received(kind: MovementKind) -> None:
    wanted = None if kind == "receive" else "expires_on"
    assert _refused_field("lot", kind, MILLI, LOT._replace(expires_on=DAY)) == wanted
    assert _refused_field("none", kind, MILLI, NamedLots(expires_on=DAY)) == "expires_on"


@pytest.mark.parametrize(
    ("change_milli", "named", "code"),
    [
        (-3_000, LOT, None),
        (-3_001, LOT, "insufficient_lot"),
        (1, LOT, None),
        (-1, NamedLots("B"), "insufficient_lot"),
        (1, NamedLots("B"), None),
        (-2_000, SERIALS, None),
        (-1_000, NamedLots(serials=["S3"]), "serial_not_in_stock"),
        (-1_000, NamedLots(serials=["gone"]), "serial_not_in_stock"),
        (-2_000, NamedLots(serials=["S1", "away"]), "serial_not_in_stock"),
        (1_000, NamedLots(serials=["S3"]), None),
        (1_000, NamedLots(serials=["gone"]), None),
        (1_000, NamedLots(serials=["S1"]), "serial_in_stock"),
        (2_000, NamedLots(serials=["S3", "away"]), "serial_in_stock"),
        (-9_000, NOTHING_NAMED, None),  # the level alone says
    ],
)
def test_lots_allow_what_the_table_says(
    change_milli: int, named: NamedLots, code: str | None
) -> None:
    lots = {"A": 3_000, "S1": 1_000, "S2": 1_000, "gone": 0}
    level, change = StockLevel(9_000), StockChange(change_milli)
    if code is None:
        check_lots(level, change, named, lots, {"away"})
        return
    with pytest.raises(StockError) as refused:
        check_lots(level, change, named, lots, {"away"})
    assert (refused.value.code, refused.value.level) == (code, level)
    assert refused.value.field == ("lot" if named.lot else "serials")


def test_at_most_five_serials_are_listed_in_an_error() -> None:
    named = NamedLots(serials=[f"S{number}" for number in range(8)])
    with pytest.raises(StockError, match=r"S0, S1, S2, S3, S4 and 3 more\.$"):
        check_lots(StockLevel(), StockChange(-8_000), named, {})


@given(st.lists(st.text(min_size=1), unique=True), st.integers(0, 9))
def test_the_first_serials_and_the_others_are_all_of_them(serials: list[str], first: int) -> None:
    one, other = NamedLots(serials=serials).parted(first)
    assert [*(one.serials or ()), *(other.serials or ())] == serials
    assert len(one.serials or ()) == min(first, len(serials))
    assert LOT.parted(first) == (LOT, LOT)


class Move(NamedTuple):
    """A movement, between two warehouses where it is a transfer."""

    kind: MovementKind
    place: int
    quantity_milli: int
    names: list[str]


_MOVES = st.builds(
    Move,
    st.sampled_from(["receive", "receive", *MOVEMENT_KINDS]),
    st.integers(0, 1),
    st.integers(-3, 5).map(lambda pieces: pieces * MILLI),
    st.lists(st.sampled_from("ABC"), min_size=1, max_size=3),
)


@given(st.sampled_from(["lot", "serial"]), st.lists(_MOVES, max_size=40))
@example(
    "lot",
    [
        Move("receive", 0, 2_000, ["A"]),
        Move("receive", 0, 1_000, ["B"]),
        Move("count", 0, 5_000, ["B"]),
    ],
)
def test_lots_add_up_to_the_level_and_a_serial_is_in_one_place(
    tracking: PartTracking, moves: list[Move]
) -> None:
    levels, lots = [StockLevel(), StockLevel()], [Counter[str](), Counter[str]()]
    for move in moves:
        here, there = move.place, 1 - move.place
        named, quantity_milli = NOTHING_NAMED, move.quantity_milli
        if move.kind not in RESERVING:
            named = NamedLots(move.names[0])
            if tracking == "serial":
                named = NamedLots(serials=move.names)
                pieces = len(move.names) * MILLI
                quantity_milli = -pieces if quantity_milli < 0 else pieces
        try:
            check_named(tracking, move.kind, quantity_milli, named)
            change = change_of(
                levels[here],
                move.kind,
                quantity_milli,
                lot_milli=None if named.lot is None else lots[here][named.lot],
            )
            elsewhere = {name for name in named.serials or () if lots[there][name]}
            check_lots(levels[here], change, named, lots[here], elsewhere)
            if move.kind == "transfer":
                check_after(levels[there], StockChange(-change.on_hand_milli))
        except (RuleError, StockError):
            continue
        each_milli = change.on_hand_milli // max(len(named.names), 1)
        levels[here] = changed(levels[here], change)
        lots[here].update(dict.fromkeys(named.names, each_milli))
        if move.kind == "transfer":
            levels[there] = changed(levels[there], StockChange(-change.on_hand_milli))
            lots[there].update(dict.fromkeys(named.names, -each_milli))
        if move.kind == "count":
            assert lots[here][move.names[0]] == quantity_milli
        for level, by_lot in zip(levels, lots, strict=True):
            assert level.on_hand_milli == by_lot.total()
            assert min(by_lot.values(), default=0) >= 0
        if tracking == "serial":
            assert max((lots[0] + lots[1]).values(), default=0) <= MILLI
