"""IP addresses: parsing, networks, and the client address of a request behind trusted proxies."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_6TO4: Final = IPv6Network("2002::/16")
_TRANSLATED: Final = (_MAPPED, IPv6Network("::ffff:0:0:0/96"), IPv6Network("64:ff9b::/96"))
"""IPv6 networks whose last 32 bits are an IPv4 address: mapped, SIIT's, and NAT64's."""

_MAYBE_TRANSLATED: Final = (IPv6Network("::/96"), IPv6Network("64:ff9b:1::/48"))
"""Here these may be small numbers, as in `::1`, and then they are none."""

_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")

MAX_CACHED: Final = 4_096
"""Entries of each cache below: `ipaddress` parses and formats slowly."""


@lru_cache(maxsize=MAX_CACHED)
def parse_address(text: str) -> Address | None:
    """Parse an IP address; None when the text is not an address.

    IPv6 addresses that stand for an IPv4 address become that address: mapped, compatible, NAT64, SIIT, 6to4 and
    Teredo ones. The zone of a link-local one, such as `%eth0`, is left out: it names an interface of this machine.
    """
    try:
        address = ip_address(text.strip())
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            address = IPv6Address(int(address))
    except ValueError:
        return None
    return _ipv4_of(address) or address if isinstance(address, IPv6Address) else address


def _ipv4_of(address: IPv6Address) -> IPv4Address | None:
    last = IPv4Address(int(address) & 0xFFFF_FFFF)
    if any(address in network for network in _TRANSLATED):
        return last
    if int(last) >= 1 << 24 and any(address in network for network in _MAYBE_TRANSLATED):
        return last
    # Teredo has the server's and the client's.
    return address.sixtofour or (address.teredo and address.teredo[1])


def _as_compared(network: Network) -> Network:
    """A network in the form in which the addresses of requests are compared: of IPv4 addresses where it is one.

    All of 6to4 or NAT64 stays what it is: an operator who names that does not mean all of IPv4.
    """
    for part in (*_TRANSLATED, _6TO4):
        if isinstance(network, IPv6Network) and network.subnet_of(part):
            length, start = network.prefixlen - part.prefixlen, _ipv4_of(network.network_address)
            if start is not None and (length or part == _MAPPED):
                return IPv4Network((start, min(length, 32)), strict=False)
    return network


@lru_cache(maxsize=MAX_CACHED)
def _forwarded_address(text: str) -> Address | None:
    """Parse an address of X-Forwarded-For, to which some proxies add a port, and brackets around IPv6."""
    found = _WITH_PORT.fullmatch(text.strip())
    return parse_address(text if found is None else found[1] or found[2])


def parse_network(text: str) -> Network:
    """Parse a network such as 10.0.0.0/8, or a single address. Raises ValueError."""
    network = ip_network(text.strip(), strict=False)
    if network.prefixlen < network.max_prefixlen:
        return _as_compared(network)
    return ip_network(parse_address(str(network.network_address)) or network)


address_text: Final[Callable[[Address], str]] = lru_cache(maxsize=MAX_CACHED)(str)
"""The text of an address, cached."""


@lru_cache(maxsize=MAX_CACHED)
def counted(address: Address) -> str:
    """What limits are counted by: an IPv4 address, or the /64 of an IPv6 address (usually one customer)."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network(f"{address}/64", strict=False))


@lru_cache(maxsize=MAX_CACHED)
def sources_of(address: Address) -> tuple[str, ...]:
    """What budgets are kept by, the narrowest first: an IPv4 address, or an IPv6 address's /64 and /56."""
    if isinstance(address, IPv4Address):
        return (str(address),)
    return counted(address), widely_counted(address)


@lru_cache(maxsize=MAX_CACHED)
def widely_counted(address: Address) -> str:
    """What work is shared fairly by: an IPv4 address, or the /56 of an IPv6 address, the most of one customer."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network(f"{address}/56", strict=False))


class Networks:
    """A set of networks. A look-up takes time proportional to the number of different prefix lengths."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._by_length: dict[tuple[int, int], set[int]] = {}
        for network in map(_as_compared, networks):
            self._by_length.setdefault((network.version, network.prefixlen), set()).add(
                int(network.network_address)
            )

    def contain(self, address: Address) -> bool:
        """Whether the address is in one of the networks."""
        number, bits = int(address), address.max_prefixlen
        return any(
            version == address.version and number >> (bits - length) << (bits - length) in starts
            for (version, length), starts in self._by_length.items()
        )


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted: Networks) -> Address | None:
    """The client's address of a request; None when there is none, as on a Unix socket.

    `forwarded_for` holds the values of X-Forwarded-For, to which each proxy appends. Read from the right, the
    first address that is not a trusted proxy counts: the client can forge everything to the left of it.
    """
    address = None if peer is None else parse_address(peer)
    if not forwarded_for:
        return address
    hops = [hop for value in forwarded_for for hop in value.split(",")]
    while address is not None and hops and trusted.contain(address):
        named = _forwarded_address(hops.pop())
        if named is None:
            break
        address = named
    return address
