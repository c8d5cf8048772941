"""Names to addresses that a webhook may connect to.

Connections are made to exactly the addresses that are returned here, of names and of hosts that are
addresses already. So what is checked is what is called: a name cannot answer with a public address
first and a private one afterwards.
"""

import asyncio
import socket
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from db.delivery.webhook_urls import is_allowed_address

# Threads that wait for name servers. A look-up may last twice as long as its attempt, so these are
# more than twice the attempts of new and hanging endpoints: names that hang leave threads for the
# others.
RESOLVING_MAX = 160
KEPT_S = 30.0
KEPT_MAX = 4_096  # names whose addresses are kept

AddressInfo: TypeAlias = tuple[int, int, int, str, tuple[str, int]]
"""An address to connect to, as `socket.getaddrinfo` returns it."""

_Place: TypeAlias = tuple[str, int]


class AddressRefused(OSError):
    """A name leads only where no webhook may go."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} has no public address")


class CheckedResolver:
    """The system's resolver, less the addresses that are refused. Close it at the end."""

    def __init__(self, *, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback
        self._threads = ThreadPoolExecutor(RESOLVING_MAX, thread_name_prefix="resolve")
        self._known: OrderedDict[_Place, tuple[float, list[AddressInfo]]] = OrderedDict()
        self._looking: dict[_Place, asyncio.Task[list[AddressInfo]]] = {}  # one look-up a name

    async def resolve(self, host: str, port: int) -> list[AddressInfo]:
        """Raise OSError: AddressRefused, or what the system's resolver says."""
        loop, place = asyncio.get_running_loop(), (host, port)
        at_s, addresses = self._known.get(place, (-KEPT_S, []))
        if loop.time() - at_s < KEPT_S and addresses:
            return addresses
        looking = self._looking.get(place)
        if looking is None:
            looking = self._looking[place] = loop.create_task(self._look_up(host, port))
            looking.add_done_callback(lambda _: self._looking.pop(place))
        return await asyncio.shield(looking)  # others may wait for it, too

    async def _look_up(self, host: str, port: int) -> list[AddressInfo]:
        loop, place = asyncio.get_running_loop(), (host, port)
        resolved = await loop.run_in_executor(self._threads, _look_up, host, port)
        addresses = [
            _address_info(address, port)
            for address in resolved
            if is_allowed_address(address, allow_loopback=self._allow_loopback)
        ]
        if not addresses:
            raise AddressRefused(host)
        self._known[place] = loop.time(), addresses
        self._known.move_to_end(place)
        if len(self._known) > KEPT_MAX:
            self._known.popitem(last=False)
        return addresses

    def close(self) -> None:
        for looking in self._looking.values():
            looking.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[IPv4Address | IPv6Address]:
    try:
        answers = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
    except UnicodeError:
        raise OSError(f"{host!r} cannot be written as a host name") from None
    # An IPv6 answer may carry a zone ("fe80::1%2"); ip_address keeps it, and such are refused.
    return [ip_address(answer[4][0]) for answer in answers]


def _address_info(address: IPv4Address | IPv6Address, port: int) -> AddressInfo:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port)
