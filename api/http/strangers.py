"""Strangers: connections that have carried no request with a good credential yet.

Each costs memory and one of the connections of the process, and may say nothing for seconds. So an
address has MOST_OF_ADDRESS of them: for one more the one that was silent longest makes place, and
where the process is full, the one that was silent longest of all. A connection from a proxy is of
many addresses: it is not counted, and the proxy has to bound its own clients.
"""

from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol

MOST_OF_ADDRESS = 64


class Stranger(Protocol):
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
        named = [each.strip() for each in proxies.split(",") if each.strip()]
        self._all_are_proxies = "*" in named
        self._proxies = [ip_network(each, strict=False) for each in named if _is_network(each)]
        self._addresses: dict[Stranger, str] = {}  # the longest silent first
        self._of_address: dict[str, dict[Stranger, None]] = {}  # each in the same order

    def __len__(self) -> int:
        return len(self._addresses)

    def admit(self, stranger: Stranger, host: str) -> bool:
        """Add a connection; False where its address has too many that are being answered."""
        if self._is_proxy(host):
            return True
        address = counted_address(host)
        of_address = self._of_address.get(address, {})
        if len(of_address) >= MOST_OF_ADDRESS and not self._drop(iter(tuple(of_address))):
            return False
        self._addresses[stranger] = address
        self._of_address.setdefault(address, {})[stranger] = None
        return True

    def heard(self, stranger: Stranger) -> None:
        """Note that bytes of a connection came."""
        address = self._addresses.pop(stranger, None)
        if address is not None:
            self._addresses[stranger] = address
            of_address = self._of_address[address]
            del of_address[stranger]
            of_address[stranger] = None

    def remove(self, stranger: Stranger) -> None:
        """Count a connection no more: it is closed, or no stranger any more."""
        address = self._addresses.pop(stranger, None)
        if address is not None:
            of_address = self._of_address[address]
            del of_address[stranger]
            if not of_address:
                del self._of_address[address]

    def drop_one(self) -> bool:
        """Let the longest silent stranger of all make place; False where there is none."""
        return self._drop(iter(tuple(self._addresses)))

    def _drop(self, longest_silent_first: Iterator[Stranger]) -> bool:
        for stranger in longest_silent_first:
            if stranger.make_place():
                self.remove(stranger)
                return True
        return False

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


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
