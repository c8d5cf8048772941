"""The address that a request is counted under."""

from ipaddress import IPv6Address, ip_address

from starlette.requests import Request


def client_address(request: Request) -> str:
    """Return the address of the client; of IPv6 the network, since a host has as many addresses as
    it likes.
    """
    host = "" if request.client is None else request.client.host
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(IPv6Address(int(address) >> 64 << 64))
    return host
