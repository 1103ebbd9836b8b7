"""Truncates IP addresses to their network, for audit log entries older than addresses may be kept."""

from ipaddress import ip_address, ip_network
from typing import Final

V4_BITS: Final = 24
V6_BITS: Final = 48


def cut_address(text: str) -> str:
    """The network of an address, such as `192.0.2.0/24` or a /48; any other text is returned unchanged."""
    try:
        address = ip_address(text)
    except ValueError:
        return text
    bits = V4_BITS if address.version == 4 else V6_BITS
    return str(ip_network(f"{address}/{bits}", strict=False))
