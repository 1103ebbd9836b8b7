"""Where a request comes from: the peer, or what a trusted proxy says of it."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


KEPT: Final = 4_096
"""Addresses whose forms are remembered: the library makes them anew each time."""


@lru_cache(maxsize=KEPT)
def parse_address(text: str) -> Address | None:
    """An address; an IPv4 address inside an IPv6 one is the former. None for anything else."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def parse_network(text: str) -> Network:
    """A network such as 10.0.0.0/8, or a single address. Raises ValueError."""
    return ip_network(text.strip(), strict=False)


address_text: Final[Callable[[Address], str]] = lru_cache(maxsize=KEPT)(str)
"""An address as it is shown and logged."""


@lru_cache(maxsize=KEPT)
def counted(address: Address) -> str:
    """What counts as one place: an IPv4 address, or the /64 of an IPv6 address, which is one customer's."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network(f"{address}/64", strict=False))


class Networks:
    """Many networks; asking takes one look-up for each length of prefix."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._by_length: dict[tuple[int, int], set[int]] = {}
        for network in networks:
            self._by_length.setdefault((network.version, network.prefixlen), set()).add(
                int(network.network_address)
            )

    def contain(self, address: Address) -> bool:
        """Whether the address is in one of them."""
        number, bits = int(address), address.max_prefixlen
        return any(
            version == address.version and number >> (bits - length) << (bits - length) in starts
            for (version, length), starts in self._by_length.items()
        )


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted: Networks) -> Address | None:
    """The address that a request counts for; None when there is none, as on a Unix socket.

    `forwarded_for` holds the values of X-Forwarded-For, which each proxy appends to: from the right, the first
    address that is no trusted proxy counts, since everything to the left of it may be made up.
    """
    address = None if peer is None else parse_address(peer)
    if not forwarded_for:
        return address
    hops = [hop for value in forwarded_for for hop in value.split(",")]
    while address is not None and hops and trusted.contain(address):
        named = parse_address(hops.pop())
        if named is None:
            break
        address = named
    return address
