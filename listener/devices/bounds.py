"""Bounds of what the connections of a process hold, and who waits when it is too much.

Each connection has a guaranteed share, so that one which waits for its PUBACKs is read on and its
PINGREQs are answered. Above the share a connection is paused while its organization, or all of them
together, hold more than their part: those who hold the most send the most, so they are the ones
that are paused.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from uuid import UUID

from listener.settings import Network

SHARE_MESSAGES = 20
SHARE_BYTES = 32 * 1024
CONNECTION_BYTES = 1024 * 1024
"""What one connection may hold, whatever room there is."""
ORGANIZATION_PART = 4
"""The number of parts of which an organization may hold one."""
UNSIGNED_PART = 8
"""The number of parts of which connections that have not signed in may hold one."""
UNSIGNED_SHARE_BYTES = 4 * 1024
"""Each of them may hold so much whatever the others do."""
FAILURE_MEMORY_S = 60.0
MOST_BUCKETS = 100_000
_MOST_ADDRESSES = 100_000


class Holding:
    """The bytes that the connections of a process hold: received and not committed."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._of_organization: Counter[int] = Counter()

    def add(self, organization: int, size: int) -> None:
        """Count bytes that were received, or that are committed where `size` is negative."""
        self.bytes += size
        self._of_organization[organization] += size

    def has_room(self, organization: int, messages: int, size: int) -> bool:
        """Return whether a connection that holds these messages and bytes may be read on."""
        if size > CONNECTION_BYTES:
            return False
        if messages <= SHARE_MESSAGES and size <= SHARE_BYTES:
            return True
        of_organization = self._of_organization[organization]
        return (
            self.bytes <= self.max_bytes // 2
            and of_organization <= self.max_bytes // 2 // ORGANIZATION_PART
        )


class Unsigned:
    """Bytes of connections that have not signed in: CONNECTs that are not complete, and what
    follows one before its answer. A connection of an ordinary device holds none, or few."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.bytes = 0

    def has_room(self, size: int) -> bool:
        """Return whether a connection may hold this number of bytes."""
        return size <= UNSIGNED_SHARE_BYTES or self.bytes <= self._max_bytes


class TokenBucket:
    """Messages and bytes a second of one tracker, with a second's worth at once."""

    __slots__ = ("_bytes", "_bytes_per_s", "_messages", "_messages_per_s", "_refilled_s")
    BURST_S = 1.0

    def __init__(self, messages_per_s: float, bytes_per_s: float, now_s: float) -> None:
        self._messages_per_s = messages_per_s
        self._bytes_per_s = bytes_per_s
        self._messages = messages_per_s * self.BURST_S
        self._bytes = bytes_per_s * self.BURST_S
        self._refilled_s = now_s

    def spend(self, messages: int, size: int, now_s: float) -> None:
        """Count what was received."""
        self._refill(now_s)
        self._messages -= messages
        self._bytes -= size

    def is_empty(self, now_s: float) -> bool:
        """Return whether the connection has used up its rate and must wait before more is read from
        it.
        """
        self._refill(now_s)
        return self._messages < 0 or self._bytes < 0

    def _refill(self, now_s: float) -> None:
        passed_s = now_s - self._refilled_s
        if not passed_s:  # as a rule: the clock stands still while one read is worked on
            return
        self._refilled_s = now_s
        burst_s = self.BURST_S
        self._messages = min(
            self._messages + passed_s * self._messages_per_s, burst_s * self._messages_per_s
        )
        self._bytes = min(self._bytes + passed_s * self._bytes_per_s, burst_s * self._bytes_per_s)


class TokenBuckets:
    """The buckets of trackers by their id. They outlast connections, so that a tracker which
    connects again and again has no new burst each time.
    """

    def __init__(self, messages_per_s: float, bytes_per_s: float) -> None:
        self._messages_per_s = messages_per_s
        self._bytes_per_s = bytes_per_s
        self._buckets: dict[UUID, TokenBucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, tracker_id: UUID, now_s: float) -> TokenBucket:
        """Return the bucket of a tracker that signs in."""
        bucket = self._buckets.pop(tracker_id, None)
        if bucket is None:
            bucket = TokenBucket(self._messages_per_s, self._bytes_per_s, now_s)
        self._buckets[tracker_id] = bucket  # the youngest is the last
        if len(self._buckets) > MOST_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        return bucket


class Addresses:
    """Connections that have not signed in, and failures to do so, by address.

    Signed-in devices do not count: thousands may share one address behind a carrier's NAT. IPv6
    addresses count by /64.
    """

    def __init__(
        self, max_unsigned: int, max_failures: int, exempt: Sequence[Network] = ()
    ) -> None:
        self._max_unsigned = max_unsigned
        self._max_failures = max_failures
        self._exempt = exempt
        self._unsigned: Counter[str] = Counter()
        self._failures: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))

    def refusal(self, address: str, now_s: float) -> str | None:
        """Return the reason to refuse a new connection; None: it may try to sign in."""
        key = self._key(address)
        if key is None:
            return None
        if self._unsigned[key] >= self._max_unsigned:
            return "unsigned"
        began_s, failures = self._failures.get(key, (0.0, 0))
        if failures >= self._max_failures and now_s - began_s < FAILURE_MEMORY_S:
            return "failures"
        return None

    def began(self, address: str) -> None:
        """Count a connection that has not signed in."""
        if (key := self._key(address)) is not None:
            self._unsigned[key] += 1

    def ended(self, address: str) -> None:
        """Stop counting a connection: it signed in, or is gone."""
        if (key := self._key(address)) is not None:
            self._unsigned[key] -= 1
            if self._unsigned[key] <= 0:
                del self._unsigned[key]

    def failed(self, address: str, now_s: float) -> None:
        """Count a failure to sign in."""
        if (key := self._key(address)) is None:
            return
        began_s, failures = self._failures[key]
        if now_s - began_s >= FAILURE_MEMORY_S:
            self._failures.pop(key)
            began_s, failures = now_s, 0
        self._failures[key] = (began_s, failures + 1)
        if len(self._failures) > _MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]

    @property
    def unsigned(self) -> int:
        """Connections that have not signed in, but for exempt networks."""
        return self._unsigned.total()

    def _key(self, address: str) -> str | None:
        parsed = _parsed(address)
        if parsed is None or any(parsed in network for network in self._exempt):
            return None  # None: a unix socket
        return parsed.exploded[:19] if isinstance(parsed, IPv6Address) else str(parsed)


def is_within(address: str, networks: Collection[Network]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Read an address; a port of both families writes IPv4 addresses as IPv6 ones."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return parsed if mapped is None else mapped
