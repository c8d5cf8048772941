"""The board of one organization: who is sent which positions."""

import asyncio
import json
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.live.feeds import position_board
from api.live.feeds.position_board import (
    PositionBoard,
    TooManySubscriptions,
    WantedPositions,
)
from db.history.last_positions import LastPosition
from db.history.latest_positions import KeptPosition
from telemetry.ids import format_id

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLIENTS = [UUID(int=900), UUID(int=901)]


def asset_id(number: int) -> UUID:
    return UUID(int=number + 1)


def row(
    number: int, lat: float | None, lon: float = 0.0, client: UUID | None = None, name: str = "A"
) -> KeptPosition:
    """Return the row of an asset. lat: None where it has no position."""
    position = None
    if lat is not None:
        position = LastPosition(UUID(int=500 + number), AT, lat, lon, None, 12.5, None)
    return KeptPosition(asset_id(number), name, client, position)


def places(bodies: list[bytes]) -> list[tuple[int, Any]]:
    """Return the assets of bodies by their numbers, with the latitudes."""
    number_of = {format_id("ast", asset_id(number)): number for number in range(20)}
    return [
        (number_of[one["id"]], one["position"] and one["position"]["lat"])
        for one in map(json.loads, bodies)
    ]


def ignore() -> None: ...


async def test_what_is_sent_and_what_newer_positions_replace_is_counted() -> None:
    board = PositionBoard()
    await board.apply([row(0, 1.0), row(1, 2.0)])
    quick, slow = [await board.subscribe(WantedPositions(), ignore) for _ in range(2)]
    quick.pull()
    await board.apply([row(0, 3.0)])
    quick.pull()
    assert (board.counts.sent, board.counts.coalesced) == (3, 1)
    assert len(slow.pull()) == 2
    assert (board.counts.sent, board.counts.coalesced) == (5, 1)


async def test_the_first_time_all_are_taken_and_then_the_newest_of_what_has_changed() -> None:
    board = PositionBoard()
    await board.apply([row(0, 1.0), row(1, 2.0), row(2, None)])
    subscription = await board.subscribe(WantedPositions(), ignore)
    assert places(subscription.pull()) == [(0, 1.0), (1, 2.0)]
    assert subscription.pull() == []
    await board.apply([row(1, 3.0), row(0, 1.0)])
    await board.apply([row(1, 4.0), row(3, 5.0)])
    assert places(subscription.pull()) == [(1, 4.0), (3, 5.0)]
    await board.apply([row(1, 4.0, name="Another name")])
    assert json.loads(subscription.pull()[0])["name"] == "Another name"
    subscription.close()
    await board.apply([row(1, 6.0)])
    assert subscription.pull() == []
    assert not board.subscriptions


async def test_a_reader_takes_a_part_at_a_time_and_never_an_old_position() -> None:
    board = PositionBoard()
    await board.apply([row(number, 1.0) for number in range(4)])
    subscription = await board.subscribe(WantedPositions(), ignore)
    size = len(board.body(0))
    assert places(subscription.pull(2 * size)) == [(0, 1.0), (1, 1.0)]
    await board.apply([row(0, 2.0), row(1, 2.0), row(2, 2.0)])
    assert places(subscription.pull(1)) == [(2, 2.0)]
    await board.apply([row(2, 3.0)])
    assert places(subscription.pull(3 * size)) == [(3, 1.0), (0, 2.0), (1, 2.0)]
    assert places(subscription.pull(size)) == [(2, 3.0)]
    assert subscription.pull(size) == []


async def test_an_asset_that_leaves_is_sent_once_more() -> None:
    board = PositionBoard()
    await board.apply([row(0, 1.0), row(1, 50.0), row(2, 2.0)])
    subscription = await board.subscribe(WantedPositions(bbox=(-5, 0, 5, 10)), ignore)
    assert places(subscription.pull()) == [(0, 1.0), (2, 2.0)]
    await board.apply([row(0, 11.0), row(1, 51.0)])
    assert places(subscription.pull()) == [(0, 11.0)]
    await board.apply([row(0, 12.0)])
    assert subscription.pull() == []
    await board.keep_only({asset_id(0), asset_id(1)})
    assert places(subscription.pull()) == [(2, None)]
    await board.keep_only({asset_id(0), asset_id(1)})
    await board.apply([row(0, 13.0)])
    assert subscription.pull() == []
    await board.apply([row(2, 9.0)])
    assert places(subscription.pull()) == [(2, 9.0)]


@pytest.mark.parametrize(
    ("bbox", "lon", "is_in"),
    [
        ((10, -10, 20, 10), 10.0, True),
        ((10, -10, 20, 10), 20.0, True),
        ((10, -10, 20, 10), 20.000001, False),
        ((10, -10, 20, 10), -15.0, False),
        ((170, -10, -170, 10), 170.0, True),
        ((170, -10, -170, 10), 180.0, True),
        ((170, -10, -170, 10), -180.0, True),
        ((170, -10, -170, 10), -170.0, True),
        ((170, -10, -170, 10), 169.999999, False),
        ((170, -10, -170, 10), 0.0, False),
        ((-180, -10, 180, 10), 180.0, True),
        ((10, 1, 20, 10), 15.0, False),
        ((10, -10, 20, -1), 15.0, False),
        ((10, 0, 20, 0), 15.0, True),
    ],
)
async def test_boxes_have_their_edges_and_may_cross_the_180th_meridian(
    bbox: tuple[float, float, float, float], lon: float, is_in: bool
) -> None:
    board = PositionBoard()
    await board.apply([row(0, 0.0, lon)])
    assert bool((await board.subscribe(WantedPositions(bbox=bbox), ignore)).pull()) is is_in


async def test_a_reader_hears_once_that_something_is_due() -> None:
    board, heard = PositionBoard(), list[str]()
    await board.apply([row(0, 1.0)])
    one = await board.subscribe(WantedPositions(), lambda: heard.append("one"))
    await board.subscribe(
        WantedPositions(ids=frozenset({asset_id(1)})), lambda: heard.append("two")
    )
    await board.announce()
    await board.announce()
    assert heard == ["one"]
    await board.apply([row(0, 2.0)])
    await board.announce()
    await board.apply([row(0, 2.0)])
    await board.announce()
    assert heard == ["one", "one"]
    assert places(one.pull()) == [(0, 2.0)]
    await board.apply([row(1, 2.0)])
    await board.announce()
    assert sorted(heard) == ["one", "one", "one", "two"]


async def test_a_position_is_encoded_once_for_all() -> None:
    board = PositionBoard()
    subscriptions = [await board.subscribe(WantedPositions(), ignore) for _ in range(3)]
    await board.apply([row(0, 1.0)])
    first, *others = [subscription.pull()[0] for subscription in subscriptions]
    assert all(other is first for other in others)


async def test_others_work_while_many_subscriptions_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.live.feeds.position_board._AT_ONCE", 2)
    board = PositionBoard()
    subscriptions = [await board.subscribe(WantedPositions(), ignore) for _ in range(6)]
    pauses = 0

    async def work() -> None:
        nonlocal pauses
        while True:
            pauses += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(work())
    await board.apply([row(0, 1.0)])
    assert pauses == 3
    await board.announce()
    assert pauses == 6
    other.cancel()
    assert [places(each.pull()) for each in subscriptions] == [[(0, 1.0)]] * 6


async def test_who_unsubscribes_meanwhile_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.live.feeds.position_board._AT_ONCE", 1)
    board, heard = PositionBoard(), list[int]()
    subscriptions = [
        await board.subscribe(WantedPositions(), partial(heard.append, number))
        for number in range(3)
    ]

    async def close_all() -> None:
        for each in subscriptions:
            each.close()

    closing = asyncio.create_task(close_all())
    await board.apply([row(0, 1.0)])
    await board.announce()
    await closing
    assert heard == []
    assert [each.pull() for each in subscriptions] == [[], [], []]


async def test_subscriptions_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.live.feeds.position_board.MOST_SUBSCRIPTIONS", 2)
    board = PositionBoard()
    first, _ = [await board.subscribe(WantedPositions(), ignore) for _ in range(2)]
    with pytest.raises(TooManySubscriptions, match="may have 2 subscriptions"):
        await board.subscribe(WantedPositions(), ignore)
    first.close()
    await board.subscribe(WantedPositions(), ignore)


async def test_an_asset_that_leaves_the_client_is_sent_without_a_position() -> None:
    board = PositionBoard()
    await board.apply([row(0, 1.0, client=CLIENTS[0]), row(1, 1.0, client=CLIENTS[0])])
    subscription = await board.subscribe(WantedPositions(client_id=CLIENTS[0]), ignore)
    assert places(subscription.pull()) == [(0, 1.0), (1, 1.0)]
    await board.apply([row(0, 2.0, client=CLIENTS[1])])
    assert places(subscription.pull()) == [(0, None)]
    await board.apply([row(0, 3.0, client=CLIENTS[1])])
    assert subscription.pull() == []


async def test_who_asks_for_a_few_assets_looks_at_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever looks at all of them lets others work behind each one here."""
    monkeypatch.setattr(position_board, "_PLACES_AT_ONCE", 1)
    board = PositionBoard()
    await board.apply([row(number, 1.0) for number in range(20)])
    wanted = frozenset([asset_id(3), asset_id(7), asset_id(99)])
    subscribing = asyncio.create_task(board.subscribe(WantedPositions(ids=wanted), ignore))
    await asyncio.sleep(0)
    assert subscribing.done()
    subscription = await subscribing
    assert places(subscription.pull()) == [(3, 1.0), (7, 1.0)]
    await board.apply([row(number, 2.0) for number in (3, 4)])
    assert places(subscription.pull()) == [(3, 2.0)]


async def test_who_asks_for_all_assets_lets_others_work_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(position_board, "_PLACES_AT_ONCE", 5)
    board = PositionBoard()
    await board.apply([row(number, 1.0) for number in range(20)])
    subscribing = asyncio.create_task(board.subscribe(WantedPositions(), ignore))
    turns = 0
    while not subscribing.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 4
    assert len((await subscribing).pull()) == 20

    cancelled = asyncio.create_task(board.subscribe(WantedPositions(), ignore))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert board.subscriptions == {await subscribing}


async def test_a_client_that_is_asked_for_is_not_kept() -> None:
    board = PositionBoard()
    wanted = [WantedPositions(client_id=UUID(int=number)) for number in range(1000, 1100)]
    subscriptions = [await board.subscribe(each, ignore) for each in wanted]
    await board.apply([row(0, 1.0, client=UUID(int=1005))])
    assert len(board._client_numbers) == 1  # pyright: ignore[reportPrivateUsage]
    assert [len(each.pull()) for each in subscriptions[4:7]] == [0, 1, 0]


async def test_an_organization_of_too_many_assets_shows_the_first_ones() -> None:
    board = PositionBoard(most_assets=2)
    await board.apply([row(0, 1.0), row(1, 1.0)])
    await board.apply([row(2, 1.0)])
    assert places((await board.subscribe(WantedPositions(), ignore)).pull()) == [(0, 1.0), (1, 1.0)]
    assert len(board) == 2


async def test_places_of_assets_that_are_gone_are_another_s_once_all_readers_know() -> None:
    board = PositionBoard(most_assets=2)
    await board.apply([row(0, 1.0), row(1, 1.0), row(2, 1.0)])
    assert len(board) == 2
    reader = await board.subscribe(WantedPositions(), ignore)
    chooser = await board.subscribe(
        WantedPositions(ids=frozenset([asset_id(1), asset_id(2)])), ignore
    )
    reader.pull()
    assert places(chooser.pull()) == [(1, 1.0)]
    await board.keep_only({asset_id(0)})
    await board.apply([row(2, 2.0)])  # no place yet: the readers wait to hear that 1 is gone
    assert places(reader.pull()) == places(chooser.pull()) == [(1, None)]
    await board.keep_only({asset_id(0)})
    await board.keep_only({asset_id(0)})
    await board.apply([row(3, 2.0), row(2, 2.0)])
    assert places(reader.pull()) == [(3, 2.0)]
    assert chooser.pull() == []
    await board.keep_only({asset_id(0)})
    assert places(reader.pull()) == [(3, None)]
    await board.keep_only({asset_id(0)})
    await board.apply([row(2, 3.0), row(3, 3.0)])
    assert places(reader.pull()) == places(chooser.pull()) == [(2, 3.0)]


_NUMBERS = st.integers(0, 5)
_DEGREES = st.sampled_from([-20.0, 0.0, 5.0, 20.0])
_ROWS = st.builds(row, _NUMBERS, _DEGREES | st.none(), _DEGREES, st.sampled_from([None, *CLIENTS]))
_BATCHES = st.lists(_ROWS, max_size=4, unique_by=lambda one: one.id)
_WANTED = st.builds(
    WantedPositions,
    st.none() | st.frozensets(st.builds(asset_id, _NUMBERS)),
    st.none() | st.tuples(_DEGREES, st.just(-10.0), _DEGREES, st.just(30.0)),
    st.sampled_from([None, *CLIENTS]),
)


def is_within(bbox: tuple[float, float, float, float] | None, lat: float, lon: float) -> bool:
    if bbox is None:
        return True
    west, south, east, north = bbox
    is_between = west <= lon <= east if west <= east else lon >= west or lon <= east
    return is_between and south <= lat <= north


def meets(one: KeptPosition, wanted: WantedPositions) -> bool:
    """Return whether a reader wants to see the asset there."""
    return (
        one.position is not None
        and (wanted.ids is None or one.id in wanted.ids)
        and wanted.client_id in (None, one.client_id)
        and is_within(wanted.bbox, one.position.lat, one.position.lon)
    )


_KEPT = st.sets(st.builds(asset_id, _NUMBERS))


@given(st.lists(_BATCHES | _WANTED | _KEPT | st.integers(0, 3), max_size=25))
async def test_whenever_readers_take_they_know_all_that_they_want_and_nothing_old(
    steps: list[Any],
) -> None:
    """A reader keeps the assets that meet what it wants, by the last thing it was sent of each."""
    board = PositionBoard()
    truth = dict[UUID, KeptPosition]()
    readers = list[tuple[Any, WantedPositions, dict[str, Any]]]()
    for step in [*steps, 0, 1, 2, 3]:
        if isinstance(step, list):
            await board.apply(step)
            truth |= {one.id: one for one in step}
        elif isinstance(step, set):
            await board.keep_only(step)
            gone = truth.keys() - step
            truth |= {each: truth[each]._replace(position=None) for each in gone}
        elif isinstance(step, WantedPositions):
            readers.append((await board.subscribe(step, ignore), step, {}))
        elif step < len(readers):
            subscription, wanted, known = readers[step]
            bodies = [json.loads(body) for body in subscription.pull()]
            known |= {body["id"]: body["position"] for body in bodies}
            assert len({body["id"] for body in bodies}) == len(bodies)
            for one in truth.values():
                sent = known.get(format_id("ast", one.id))
                if meets(one, wanted):
                    assert one.position is not None
                    assert (sent["lat"], sent["lon"]) == one.position[2:4]
                elif sent is not None and wanted.client_id in (None, one.client_id):
                    assert not is_within(wanted.bbox, sent["lat"], sent["lon"])
                else:
                    assert sent is None
