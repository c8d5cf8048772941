"""Strangers and members: which connection makes place for another one.

Each connection costs memory and one of the connections of the process, and may say nothing for
seconds. A stranger has carried no request with a good credential yet. An address has
MOST_OF_ADDRESS strangers: for one more the one that was silent longest makes place. A connection
from a proxy is of many addresses: it is no stranger, and the proxy has to bound its own clients.

A member belongs to the organization of its last good request, from a proxy, too. Where the process
is full, the one that was silent longest makes place: of all strangers together, or of the
organization with the most members, whichever are more. So who has many keeps nobody else out.
"""

from collections import defaultdict
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol
from uuid import UUID

MOST_OF_ADDRESS = 64


class Placed(Protocol):
    """A connection that can be asked to make place."""

    def make_place(self) -> bool:
        """End the connection; False where a request of it is being answered."""
        ...


def counted_address(host: str) -> str:
    """Return the address under which a client is counted. For IPv6 it is the network, since a host
    can use as many of its addresses as it likes.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(IPv6Address(int(address) >> 64 << 64))
    return host


class Strangers:
    """The strangers of a process. proxies: addresses and networks with commas between them, as
    uvicorn reads them; *: all.
    """

    def __init__(self, proxies: str = "") -> None:
        named = [text.strip() for text in proxies.split(",") if text.strip()]
        self._all_are_proxies = "*" in named
        self._proxies = [ip_network(text, strict=False) for text in named if _is_network(text)]
        self._addresses: dict[Placed, str] = {}  # the longest silent first
        self._of_address: dict[str, dict[Placed, None]] = {}  # each in the same order

    def __len__(self) -> int:
        return len(self._addresses)

    def admit(self, stranger: Placed, host: str) -> bool:
        """Add a connection; False where its address has too many that are being answered."""
        if self._is_proxy(host):
            return True
        address = counted_address(host)
        of_address = self._of_address.get(address, {})
        if len(of_address) >= MOST_OF_ADDRESS and not self._drop(of_address):
            return False
        self._addresses[stranger] = address
        self._of_address.setdefault(address, {})[stranger] = None
        return True

    def heard(self, stranger: Placed) -> None:
        """Note that bytes of a connection came."""
        address = self._addresses.pop(stranger, None)
        if address is not None:
            self._addresses[stranger] = address
            of_address = self._of_address[address]
            del of_address[stranger]
            of_address[stranger] = None

    def remove(self, stranger: Placed) -> None:
        """Count a connection no more: it is closed, or no stranger any more."""
        address = self._addresses.pop(stranger, None)
        if address is not None:
            of_address = self._of_address[address]
            del of_address[stranger]
            if not of_address:
                del self._of_address[address]

    def drop_one(self) -> bool:
        """Let the longest silent stranger of all make place; False where there is none."""
        return self._drop(self._addresses)

    def _drop(self, longest_silent_first: Iterable[Placed]) -> bool:
        dropped = _first_to_make_place(longest_silent_first)
        if dropped is not None:
            self.remove(dropped)
        return dropped is not None

    def _is_proxy(self, host: str) -> bool:
        if self._all_are_proxies:
            return True
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._proxies)


class Members:
    def __init__(self) -> None:
        self._org_ids: dict[Placed, UUID] = {}
        self._of_org: defaultdict[UUID, dict[Placed, None]] = defaultdict(dict)
        """The longest silent first."""

    @property
    def most_of_one(self) -> int:
        """The number of members of the organization with the most."""
        return max(map(len, self._of_org.values()), default=0)

    def add(self, member: Placed, org_id: UUID) -> None:
        """Let a connection belong to an organization, and to no other any more."""
        if self._org_ids.get(member) != org_id:
            self.remove(member)
            self._org_ids[member] = org_id
            self._of_org[org_id][member] = None

    def heard(self, member: Placed) -> None:
        """Note that bytes of a connection came."""
        org_id = self._org_ids.get(member)
        if org_id is not None:
            of_org = self._of_org[org_id]
            del of_org[member]
            of_org[member] = None

    def remove(self, member: Placed) -> None:
        """Count a connection no more: it is closed, or waits for events."""
        org_id = self._org_ids.pop(member, None)
        if org_id is not None:
            of_org = self._of_org[org_id]
            del of_org[member]
            if not of_org:
                del self._of_org[org_id]

    def drop_one(self) -> bool:
        """Let the longest silent of the organization with the most members make place; False where
        there is none.
        """
        crowd = max(self._of_org.values(), key=len, default={})
        dropped = _first_to_make_place(crowd)
        if dropped is not None:
            self.remove(dropped)
        return dropped is not None


class ConnectionPlaces:
    """The strangers and the members of a process, each connection among one of them at most."""

    def __init__(self, proxies: str = "") -> None:
        self.strangers = Strangers(proxies)
        self.members = Members()

    def heard(self, connection: Placed) -> None:
        """Note that bytes of a connection came."""
        self.strangers.heard(connection)
        self.members.heard(connection)

    def become_known(self, connection: Placed, org_id: UUID) -> None:
        """Let a connection be a member of an organization."""
        self.strangers.remove(connection)
        self.members.add(connection, org_id)

    def remove(self, connection: Placed) -> None:
        """Count a connection no more."""
        self.strangers.remove(connection)
        self.members.remove(connection)

    def drop_one(self) -> bool:
        """Let a connection make place for one more; False where none can."""
        crowds = [self.strangers, self.members]
        if len(self.strangers) < self.members.most_of_one:
            crowds.reverse()
        return any(crowd.drop_one() for crowd in crowds)


def _first_to_make_place(longest_silent_first: Iterable[Placed]) -> Placed | None:
    """Return the connection that made place; None where all of them are being answered."""
    for connection in tuple(longest_silent_first):
        if connection.make_place():
            return connection
    return None


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
