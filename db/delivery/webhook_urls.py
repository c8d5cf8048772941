"""The rule for URLs of webhooks, in the column `webhook_endpoints.url`.

A URL is written by a client and called by us from inside our network, so it must not reach what
only we can reach (server-side request forgery). Registration asks `check_webhook_url`; delivery
asks it again, and asks `is_allowed_address` of each address that the host's name resolves to.

Allowed is https to addresses of the public internet. `allow_loopback`, a setting for development,
adds https and http to loopback, and nothing else that is private.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

URL_LENGTH_MAX = 2000

# Global by registration, yet not a public host: what a platform answers on from inside (Azure),
# relays into IPv4, and documentation and translation ranges that Python's tables leave out.
_NEVER = (
    ip_network("192.0.0.0/24"),
    ip_network("168.63.129.16/32"),
    ip_network("192.88.99.0/24"),
    ip_network("64:ff9b:1::/48"),
    ip_network("3fff::/20"),
    ip_network("5f00::/16"),
)
_NAT64 = ip_network("64:ff9b::/96")
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class WebhookUrlError(ValueError):
    """A URL that no webhook may have; the text says why, in words for its owner."""


def check_webhook_url(url: str, *, allow_loopback: bool) -> None:
    """Check that `url` may be called, as far as its text shows."""
    parts = _split(url)
    host = parts.hostname
    if not host:
        raise WebhookUrlError("the URL has no host")
    if not host.isascii():
        raise WebhookUrlError("the host must be in ASCII (xn--...)")
    if parts.username is not None or parts.password is not None:
        raise WebhookUrlError("the URL must not carry a user name or a password")
    if parts.fragment:
        raise WebhookUrlError("the URL must not have a fragment")
    literal = _literal(host)
    local = _is_loopback(literal) if literal else _is_local_name(host)
    if literal is not None and not is_allowed_address(literal, allow_loopback=allow_loopback):
        raise WebhookUrlError(f"the address {literal} is not public")
    if local and not allow_loopback:
        raise WebhookUrlError(f"the host {host} is not public")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise WebhookUrlError("the URL must begin with https://")


def webhook_origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL that `check_webhook_url` has let through."""
    parts = _split(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return parts.scheme, parts.hostname or "", port


def is_allowed_address(address: IPv4Address | IPv6Address, *, allow_loopback: bool = False) -> bool:
    """Return whether a webhook may connect to `address`."""
    return is_public_address(address) or (allow_loopback and _is_loopback(address))


def is_public_address(address: IPv4Address | IPv6Address) -> bool:
    """Return whether `address` is one host of the public internet, also when it wraps an IPv4
    address.
    """
    if isinstance(address, IPv6Address):
        inner = _wrapped(address)
        if inner is not None:
            return is_public_address(inner)
        if address.teredo is not None or address.is_site_local or address.scope_id is not None:
            return False
    if any(address in network for network in _NEVER):
        return False
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
    )


def _split(url: str) -> SplitResult:
    if len(url) > URL_LENGTH_MAX:
        raise WebhookUrlError(f"the URL is longer than {URL_LENGTH_MAX} characters")
    if any(character <= " " or character in "\\\x7f" for character in url):
        raise WebhookUrlError("the URL holds a blank, a backslash or a control character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise WebhookUrlError(f"not a URL: {error}") from None
    if port == 0:
        raise WebhookUrlError("the URL has port 0")
    return parts


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        pass
    # 127.1, 0x7f.0.0.1, 2130706433: a resolver reads them as addresses, so do not take them for
    # names. No top-level domain begins with a digit.
    if host.rstrip(".").rpartition(".")[2][:1].isdigit():
        raise WebhookUrlError(f"the host {host} is neither a name nor an IP address")
    return None


def _is_loopback(address: IPv4Address | IPv6Address) -> bool:
    # Not `address.is_loopback`: Python versions differ on ::ffff:127.0.0.1.
    return any(address in network for network in _LOOPBACK)


def _is_local_name(host: str) -> bool:
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost")


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that a mapped, 6to4 or NAT64 address leads to."""
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour
