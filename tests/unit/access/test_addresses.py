"""Where a request comes from: forwarding headers count only from trusted proxies (C4)."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.access.identity.addresses import (
    Networks,
    client_address,
    counted,
    parse_address,
    parse_network,
    sources_of,
    widely_counted,
)

TRUSTED = Networks([ip_network("10.0.0.0/8"), ip_network("::1/128"), ip_network("2001:db8::/32")])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7, 10.2.3.4"], "198.51.100.7"),
        ("10.0.0.1", ["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
        ("10.0.0.1", ["198.51.100.7, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("::1", ["2001:db8::5, 2001:470::1"], "2001:470::1"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        (None, ["198.51.100.7"], None),
        ("", ["198.51.100.7"], None),
    ],
)
def test_the_rightmost_address_that_is_no_trusted_proxy_counts(
    peer: str | None, forwarded_for: list[str], address: str | None
) -> None:
    found = client_address(peer, forwarded_for, TRUSTED)
    assert (None if found is None else str(found)) == address


@given(st.lists(st.text(max_size=30), max_size=4))
def test_whatever_an_untrusted_peer_says_is_passed_over(forwarded_for: list[str]) -> None:
    assert str(client_address("192.0.2.1", forwarded_for, TRUSTED)) == "192.0.2.1"


@given(
    st.lists(st.tuples(st.ip_addresses(), st.integers(0, 32)), max_size=8),
    st.ip_addresses(),
)
def test_networks_contain_what_each_of_them_contains(
    entries: list[tuple[IPv4Address | IPv6Address, int]], address: IPv4Address | IPv6Address
) -> None:
    networks = [parse_network(f"{start}/{length}") for start, length in entries]
    assert Networks(networks).contain(address) == any(address in network for network in networks)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "1.2.3.4.5", "fe80::1%eth0x" * 9, "0x7f.1"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.4",
        "::ffff:192.0.2.4",
        "::ffff:192.0.2.4%1",
        "::ffff:0:192.0.2.4",
        "::192.0.2.4",
        "64:ff9b::192.0.2.4",
        "64:ff9b::c000:204",
        "64:ff9b:1:abcd::192.0.2.4",
        "2002:c000:204::1",
        "2001:0:53aa:64c:0:0:3fff:fdfb",
    ],
)
def test_forms_of_an_ipv4_address_are_that_address(text: str) -> None:
    assert str(parse_address(text)) == "192.0.2.4"
    assert str(parse_network(text)) == "192.0.2.4/32"


@pytest.mark.parametrize("text", ["::1", "::", "64:ff9b:1::1", "2001:db8::1", "fe80::1"])
def test_other_ipv6_addresses_stay_what_they_are(text: str) -> None:
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:0:192.0.2.0/120", "192.0.2.0/24"),
        ("64:ff9b::192.0.2.0/120", "192.0.2.0/24"),
        ("2002:c000:200::/40", "192.0.2.0/24"),
        ("2002:c000:204::/48", "192.0.2.4/32"),
        ("2002:c000:204:7::/64", "192.0.2.4/32"),
        ("2002::/16", "2002::/16"),
        ("64:ff9b::/96", "64:ff9b::/96"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::/0", "::/0"),
    ],
)
def test_networks_of_ipv4_addresses_in_ipv6_are_those_networks(text: str, network: str) -> None:
    assert str(parse_network(text)) == network
    # Settings are read by the standard library.
    assert Networks([ip_network(text)]).contain(ip_network(network)[0])


@pytest.mark.parametrize(
    ("hop", "counts"),
    [
        ("192.0.2.4:5678", "192.0.2.4"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[::ffff:192.0.2.4]:1", "192.0.2.4"),
        ("192.0.2.4:port", "10.0.0.1"),
        ("[", "10.0.0.1"),
    ],
)
def test_proxies_may_add_a_port_to_the_callers_address(hop: str, counts: str) -> None:
    found = client_address("10.0.0.1", [f"198.51.100.7, {hop}"], Networks([parse_network("10.0.0.0/8")]))
    assert str(found) == counts


def test_what_is_counted_for_an_address() -> None:
    four, six = ip_address("192.0.2.7"), ip_address("2001:db8:1:2ff:3::1")
    assert (counted(four), widely_counted(four), sources_of(four)) == ("192.0.2.7", "192.0.2.7", ("192.0.2.7",))
    assert counted(six) == "2001:db8:1:2ff::/64"
    assert widely_counted(six) == "2001:db8:1:200::/56"
    assert sources_of(six) == (counted(six), widely_counted(six))


@pytest.mark.parametrize("hop", ["fe80::1%eth0", "fe80::1%25eth0", "[fe80::1%eth0]:4711", "[fe80::1%3]"])
def test_the_zone_of_an_address_names_nobody_else(hop: str) -> None:
    address = client_address("127.0.0.1", [hop], Networks([parse_network("127.0.0.1")]))
    assert address is not None
    assert str(address) == "fe80::1"
    assert parse_network("fe80::1%eth1") == parse_network("fe80::1")
