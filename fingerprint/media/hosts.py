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

_NOT_REALLY_GLOBAL: Final = (
    ipaddress.ip_network("64:ff9b::/96"),  # NAT64: embeds an IPv4 address
    ipaddress.ip_network("2002::/16"),  # 6to4: likewise
)
"""Networks that Python calls global but that lead to any IPv4 address, private ones included."""

AddressInfo = tuple[int, int, int, str, tuple[str | int, ...] | tuple[str, int] | tuple[int, bytes]]


class AddressRefusedError(OSError):
    """A name resolved to an address that may not be contacted."""


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

    def allows(self, url: URL) -> bool:
        """Whether an address may be fetched, by its scheme, host and port."""
        return url.user is None and url.password is None and any(rule.allows(url) for rule in self._rules)

    def socket(self, info: AddressInfo) -> socket.socket:
        """Creates a socket for an address; aiohttp's `socket_factory`. Raises AddressRefusedError."""
        family, kind, protocol, _, address = info
        if not self._any_address and not self._may_connect(str(address[0])):
            _log.warning("address_refused", extra={"address": str(address[0])})
            raise AddressRefusedError(f"{address[0]} is no public address")
        return socket.socket(family=family, type=kind, proto=protocol)

    def _may_connect(self, text: str) -> bool:
        address = _address(text)
        return address is not None and (address in self._addresses or is_public(address))


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is on the public internet, not in a private network or on this machine."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if mapped is not None:
        return is_public(mapped)
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in _NOT_REALLY_GLOBAL)
    )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _named_addresses(host: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...]:
    """The IP addresses that an entry itself contains."""
    if host == "localhost":
        return ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1")
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
