"""Names to addresses that a webhook may connect to.

aiohttp connects to exactly the addresses that its resolver returns, so what is checked here is what
is called: a name cannot answer with a public address first and a private one afterwards. aiohttp
does not ask the resolver about a host that is an IP address already; `webhooks.delivery.post`
checks those.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

from db.delivery.webhook_urls import is_allowed_address

# Threads that wait for name servers. More than the attempts of new and slow endpoints, so names
# that hang leave threads for the others.
RESOLVING_MAX = 48


class AddressRefused(OSError):
    """A name leads only where no webhook may go."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} has no public address")


class CheckedResolver(AbstractResolver):
    """The system's resolver, less the addresses that are refused. Close it at the end."""

    def __init__(self, *, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback
        self._threads = ThreadPoolExecutor(RESOLVING_MAX, thread_name_prefix="resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raise OSError: AddressRefused, or what the system's resolver says."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port, family)
        allowed = [
            address
            for address in found
            if is_allowed_address(address, allow_loopback=self._allow_loopback)
        ]
        if not allowed:
            raise AddressRefused(host)
        return [_result(host, port, address) for address in allowed]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[IPv4Address | IPv6Address]:
    try:
        answers = socket.getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
    except UnicodeError:
        raise OSError(f"{host!r} cannot be written as a host name") from None
    # An IPv6 answer may carry a zone ("fe80::1%2"); ip_address keeps it, and such are refused.
    return [ip_address(answer[4][0]) for answer in answers]


def _result(host: str, port: int, address: IPv4Address | IPv6Address) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=str(address),
        port=port,
        family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST,
    )
