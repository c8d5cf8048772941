"""Which of two connections of a tracker is the newer one."""

from typing import cast
from uuid import UUID

import pytest

from ingest.sources.link import Peer
from ingest.sources.tracker_connections import TrackerConnections
from telemetry.link import Opened

TRACKER, ORG = UUID(int=1), UUID(int=2)
ONE, OTHER = (cast(Peer, object()) for _ in range(2))


def opened(connection: int, age_us: int) -> Opened:
    return Opened(connection, TRACKER, ORG, "x", age_us)


@pytest.mark.parametrize(
    ("first", "second", "ended"),
    [
        ((ONE, 1, 50, 1_000), (ONE, 2, 10, 1_000), 1),
        # Told while ingest stood still, so read at once; it took the second one longer to tell.
        ((ONE, 1, 50, 1_000), (ONE, 2, 90, 1_000), 1),
        ((ONE, 2, 90, 1_000), (ONE, 1, 50, 1_000), 1),
        # Of two listeners the age decides: the numbers are each one's own.
        ((ONE, 9, 50, 1_000), (OTHER, 1, 10, 1_000), 9),
        ((ONE, 1, 50, 1_000), (OTHER, 9, 90, 1_000), 9),
        ((ONE, 1, 0, 1_000), (OTHER, 9, 5_000, 2_000), 9),  # opened before, told later
    ],
)
def test_the_older_connection_ends(
    first: tuple[Peer, int, int, int], second: tuple[Peer, int, int, int], ended: int
) -> None:
    connections = TrackerConnections[Peer]()
    results: list[tuple[Peer, int] | None] = []
    for peer, connection, age_us, now_us in (first, second):
        results.append(connections.opened(peer, opened(connection, age_us), now_us))
    owner = first[0] if ended == first[1] else second[0]
    assert results == [None, (owner, ended)]
    stays = second[0] if ended == first[1] else first[0]
    assert connections.peer_of(TRACKER) is stays


def test_a_connection_that_is_told_again_stays() -> None:
    connections = TrackerConnections[Peer]()
    assert connections.opened(ONE, opened(1, 0), 1_000) is None
    assert connections.opened(ONE, opened(1, 500), 1_500) is None
