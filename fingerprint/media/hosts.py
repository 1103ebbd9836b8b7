"""Where connections may go: an allow-list of host names, and a check of the addresses that they resolve to.

Playlists come from outside, so every address in them is hostile until proven otherwise. The list decides by name
before anything is looked up; the check decides again by IP address, where connections are made, and so sees
literals, resolved names and redirects alike.
"""

import ipaddress
import logging
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from yarl import URL

_log = logging.getLogger(__name__)

IPv4 = ipaddress.IPv4Address
IPv6 = ipaddress.IPv6Address

_LOW_32_BITS: Final = (
    ipaddress.IPv6Network("::/96"),  # IPv4-compatible
    ipaddress.IPv6Network("::ffff:0:0/96"),  # IPv4-mapped
    ipaddress.IPv6Network("::ffff:0:0:0/96"),  # IPv4-translated (SIIT)
    ipaddress.IPv6Network("64:ff9b::/96"),  # NAT64
)
"""IPv6 networks whose addresses lead to the IPv4 address in their last 32 bits."""

_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
"""NAT64 prefixes that a network chooses itself (RFC 8215), of a length that the address does not show."""

_6TO4: Final = ipaddress.IPv6Network("2002::/16")
_TEREDO: Final = ipaddress.IPv6Network("2001::/32")
_ISATAP: Final = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))

AddressInfo = tuple[int, int, int, str, tuple[str | int, ...] | tuple[str, int] | tuple[int, bytes]]


class AddressRefusedError(OSError):
    """A name resolved to an address that may not be contacted.

    `leads_here`: it is an address of this machine, such as 0.0.0.0 or 127.0.0.1, which DNS filters answer with.
    """

    def __init__(self, address: str, *, leads_here: bool) -> None:
        super().__init__(f"{address} is not a public address")
        self.leads_here = leads_here


@dataclass(frozen=True, slots=True)
class _Rule:
    host: str
    below: bool  # every host below this name, and not the name itself alone
    port: int | None
    schemes: tuple[str, ...]

    def allows(self, url: URL) -> bool:
        host = url.host or ""
        named = host == self.host or (self.below and host.endswith(f".{self.host}"))
        return named and url.scheme in self.schemes and (self.port is None or url.port == self.port)


class AllowList:
    """The only hosts that may be contacted."""

    def __init__(self, rules: Iterable[_Rule], *, any_address: bool) -> None:
        self._rules = tuple(rules)
        self._any_address = any_address
        self._addresses = frozenset(address for rule in self._rules for address in _named_addresses(rule.host))

    @classmethod
    def of_media_hosts(cls, hosts: Iterable[str]) -> "AllowList":
        """The list of a setting's host names: `name` and `*.name`, over https on its usual port.

        A loopback entry (`localhost`, `127.0.0.1`, `127.0.0.1:8090`) is reached over http too, on any port unless
        it names one. Names that resolve to private addresses are refused where a connection is made.
        """
        return cls(map(_media_rule, hosts), any_address=False)

    @classmethod
    def of_origins(cls, urls: Iterable[URL]) -> "AllowList":
        """Exactly the origins of addresses that the operator configured, whatever they resolve to."""
        return cls(
            (_Rule(url.host or "", below=False, port=url.port, schemes=(url.scheme,)) for url in urls),
            any_address=True,
        )

    @property
    def how_to_add(self) -> str:
        """A sentence on how the operator allows further hosts, after a space; empty for a list that is fixed."""
        return "" if self._any_address else " Its operator can add it with TWITCHAUDIO_MORE_MEDIA_HOSTS."

    def allows(self, url: URL) -> bool:
        """Whether an address may be fetched, by its scheme, host and port."""
        return url.user is None and url.password is None and any(rule.allows(url) for rule in self._rules)

    def socket(self, info: AddressInfo) -> socket.socket:
        """Creates a socket for an address; aiohttp's `socket_factory`. Raises AddressRefusedError."""
        family, kind, protocol, _, address = info
        if not self._any_address and not self.may_connect(str(address[0])):
            _log.warning("address_refused", extra={"address": str(address[0])})
            raise AddressRefusedError(str(address[0]), leads_here=_leads_here(_address(str(address[0]))))
        return socket.socket(family=family, type=kind, proto=protocol)

    def may_connect(self, text: str) -> bool:
        """Whether an IP address may be contacted: a public one, or one that the list names itself."""
        address = _address(text)
        return address is not None and (address in self._addresses or is_public(address))


def is_public(address: IPv4 | IPv6) -> bool:
    """Whether an address leads to the public internet, not into a private network or to this machine.

    An IPv6 address that carries an IPv4 address is judged by that one: on an IPv6-only server every IPv4 host is
    reached through such an address, and a private one would lead where no playlist may.
    """
    if isinstance(address, IPv4):
        return address.is_global and not address.is_multicast
    embedded = _embedded(address)
    if embedded is None:
        return address.is_global and not address.is_multicast
    in_global_network = address.packed[8:12] not in _ISATAP or address.is_global
    return in_global_network and bool(embedded) and all(map(is_public, embedded))


def _leads_here(address: IPv4 | IPv6 | None) -> bool:
    """Whether an address is one of the machine that connects to it."""
    carried = (_embedded(address) or []) if isinstance(address, IPv6) else []
    return any(each is not None and (each.is_loopback or each.is_unspecified) for each in (address, *carried))


def _embedded(address: IPv6) -> list[IPv4] | None:
    """The IPv4 addresses that an IPv6 address leads to, all of which must be public; None when it has none.

    Empty for an address of a translating network that carries no IPv4 address.
    """
    if any(address in network for network in _LOW_32_BITS):
        return [IPv4(address.packed[12:])]
    if address in _LOCAL_NAT64:
        return _local_nat64(address.packed)
    if address in _6TO4:
        return [IPv4(address.packed[2:6])]
    if address in _TEREDO:  # the server, and the client with its bits inverted (RFC 4380, section 4)
        return [IPv4(address.packed[4:8]), IPv4(bytes(byte ^ 0xFF for byte in address.packed[12:]))]
    if address.packed[8:12] in _ISATAP:
        return [IPv4(address.packed[12:])]
    return None


def _local_nat64(packed: bytes) -> list[IPv4]:
    """The IPv4 address by each length of prefix that fits (RFC 6052, section 2.2): 48, 56, 64 and 96 bits.

    The first three leave bits 64 to 71 and all after the IPv4 address zero.
    """
    found = [packed[12:]]
    if packed[8] == 0:
        rest = packed[:8] + packed[9:]
        found += [rest[first : first + 4] for first in (6, 7, 8) if not any(rest[first + 4 :])]
    return [IPv4(each) for each in found if any(each)]


def _address(text: str) -> IPv4 | IPv6 | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _named_addresses(host: str) -> tuple[IPv4 | IPv6, ...]:
    """The IP addresses that an entry itself contains."""
    if host == "localhost":
        return IPv4("127.0.0.1"), IPv6("::1")
    literal = _address(host)
    return () if literal is None else (literal,)


def _media_rule(entry: str) -> _Rule:
    below = entry.startswith("*.")
    host, port = _host_and_port(entry.removeprefix("*."))
    literal = _address(host)
    if host == "localhost" or (literal is not None and literal.is_loopback):
        return _Rule(host, below=False, port=port, schemes=("https", "http"))
    return _Rule(host, below=below, port=port or 443, schemes=("https",))


def _host_and_port(entry: str) -> tuple[str, int | None]:
    """Splits `name`, `name:port`, `[::1]:port` or a bare IPv6 address."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        port = rest.removeprefix(":")
    elif entry.count(":") == 1:
        host, _, port = entry.partition(":")
    else:
        host, port = entry, ""
    return host, int(port) if port.isdecimal() else None
