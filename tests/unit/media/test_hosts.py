import ipaddress
import socket
from collections.abc import Callable

import pytest
from yarl import URL

from fingerprint.media.hosts import AddressInfo, AddressRefusedError, AllowList, is_public
from fingerprint.setting_formats import media_hosts
from fingerprint.upstream_settings import TwitchSettings

DEFAULTS = TwitchSettings().media_hosts


@pytest.mark.parametrize(
    "url",
    [
        "https://euc13.playlist.ttvnw.net/v1/playlist/x.m3u8",
        "https://x.j.cloudfront.hls.ttvnw.net/v1/segment/x.ts?dna=1",
        "https://d1m7jfoe9zdc1j.cloudfront.net/a/audio_only/index-dvr.m3u8",
        "https://production.assets.clips.twitchcdn.net/AT-cm%7C1.mp4",
        "https://ttvnw.net/",
        "https://TTVNW.NET:443/",
    ],
)
def test_twitchs_hosts_are_allowed(url: str) -> None:
    assert AllowList.of_media_hosts(DEFAULTS).allows(URL(url, encoded=True))


@pytest.mark.parametrize(
    "url",
    [
        "http://euc13.playlist.ttvnw.net/",  # not safe
        "https://euc13.playlist.ttvnw.net:8443/",
        "https://evilttvnw.net/",
        "https://ttvnw.net.evil.example/",
        "https://playlist.ttvnw.net./",
        "https://user@playlist.ttvnw.net/",
        "https://:secret@playlist.ttvnw.net/",
        "https://evil.example/playlist.ttvnw.net",
        "https://evil.example#playlist.ttvnw.net",
        "https://127.0.0.1/",
        "http://localhost/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://169.254.169.254/latest/meta-data",
        "https://tt\u1d20nw.net/",
        "file:///etc/passwd",
        "data:text/plain,x",
        "ftp://ttvnw.net/",
    ],
)
def test_everything_else_is_refused_by_name(url: str) -> None:
    assert not AllowList.of_media_hosts(DEFAULTS).allows(URL(url))


@pytest.mark.parametrize(
    ("entry", "allowed", "refused"),
    [
        (
            "localhost",
            ["http://localhost:1234/", "https://localhost/"],
            ["http://127.0.0.1/", "http://a.localhost/"],
        ),
        ("127.0.0.1", ["http://127.0.0.1/", "http://127.0.0.1:9/"], ["http://127.0.0.2/", "http://localhost/"]),
        ("127.0.0.1:8090", ["http://127.0.0.1:8090/"], ["http://127.0.0.1/", "http://127.0.0.1:8091/"]),
        ("[::1]:8090", ["http://[::1]:8090/"], ["http://[::1]/"]),
        ("::1", ["http://[::1]/"], ["http://[::2]/"]),
        ("cdn.example", ["https://cdn.example/"], ["http://cdn.example/", "https://a.cdn.example/"]),
        ("*.cdn.example", ["https://cdn.example/", "https://a.b.cdn.example/"], ["https://xcdn.example/"]),
        ("cdn.example:8443", ["https://cdn.example:8443/"], ["https://cdn.example/"]),
        ("10.0.0.5", ["https://10.0.0.5/"], ["http://10.0.0.5/"]),
    ],
)
def test_entries_of_the_setting(entry: str, allowed: list[str], refused: list[str]) -> None:
    hosts = AllowList.of_media_hosts(media_hosts(entry))
    assert [url for url in allowed if not hosts.allows(URL(url))] == []
    assert [url for url in refused if hosts.allows(URL(url))] == []


def test_configured_origins_are_reached_as_they_are_and_nothing_beside_them() -> None:
    hosts = AllowList.of_origins([URL("http://simulator:8090/gql"), URL("https://gql.twitch.tv/gql")])
    assert hosts.allows(URL("http://simulator:8090/other"))
    assert hosts.allows(URL("https://gql.twitch.tv/gql"))
    for url in (
        "https://simulator:8090/",
        "http://simulator/",
        "http://gql.twitch.tv/",
        "https://x.gql.twitch.tv/",
    ):
        assert not hosts.allows(URL(url))


PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "2001:db8::1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "99.86.0.1", "2606:4700::1111"]


def low_bits(prefix: str, v4: str) -> str:
    return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | int(ipaddress.IPv4Address(v4))))


def nat64(prefix: str, length: int, v4: str) -> str:
    """RFC 6052, section 2.2: the IPv4 address begins behind the prefix and leaves out octet 8."""
    octets = bytearray(ipaddress.IPv6Address(prefix).packed)
    place = length // 8
    for byte in ipaddress.IPv4Address(v4).packed:
        place += place == 8
        octets[place] = byte
        place += 1
    return str(ipaddress.IPv6Address(bytes(octets)))


def teredo(client: str, server: str = "65.54.227.120") -> str:
    hidden = bytes(byte ^ 0xFF for byte in ipaddress.IPv4Address(client).packed)
    head = bytes.fromhex("20010000") + ipaddress.IPv4Address(server).packed + bytes.fromhex("8000f227")
    return str(ipaddress.IPv6Address(head + hidden))


CARRIERS: dict[str, Callable[[str], str]] = {
    "mapped": lambda v4: f"::ffff:{v4}",
    "compatible": lambda v4: low_bits("::", v4),
    "translated": lambda v4: low_bits("::ffff:0:0:0", v4),
    "nat64": lambda v4: low_bits("64:ff9b::", v4),
    "local-nat64-96": lambda v4: low_bits("64:ff9b:1:fffe::", v4),
    "local-nat64-96-plain": lambda v4: low_bits("64:ff9b:1::", v4),
    "local-nat64-48": lambda v4: nat64("64:ff9b:1::", 48, v4),
    "local-nat64-56": lambda v4: nat64("64:ff9b:1::", 56, v4),
    "local-nat64-64": lambda v4: nat64("64:ff9b:1::", 64, v4),
    "6to4": lambda v4: nat64("2002::", 16, v4),
    "teredo": teredo,
    "isatap": lambda v4: low_bits("2606:4700::5efe:0:0", v4),
    "isatap-public": lambda v4: low_bits("2606:4700::200:5efe:0:0", v4),
}
"""The ways in which an IPv6 address carries an IPv4 address."""


def info(address: str) -> AddressInfo:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (family, socket.SOCK_STREAM, 0, "", (address, 443))


@pytest.mark.parametrize("carrier", CARRIERS)
def test_an_ipv4_address_in_an_ipv6_address_decides(carrier: str) -> None:
    carry = CARRIERS[carrier]
    for v4 in ("8.8.8.8", "99.86.17.201"):
        assert is_public(ipaddress.ip_address(carry(v4))), v4
    for v4 in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.3.2", "224.0.0.1", "0.0.0.0"):
        assert not is_public(ipaddress.ip_address(carry(v4))), v4


def test_a_carrier_inside_a_private_network_is_private() -> None:
    for address in (low_bits("fe80::5efe:0:0", "8.8.8.8"), low_bits("fd00::200:5efe:0:0", "8.8.8.8")):
        assert not is_public(ipaddress.ip_address(address))
    assert not is_public(ipaddress.ip_address(teredo("8.8.8.8", server="10.0.0.1")))


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_get_no_socket(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises(AddressRefusedError):
        AllowList.of_media_hosts(DEFAULTS).socket(info(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_get_one(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
    with AllowList.of_media_hosts(DEFAULTS).socket(info(address)) as made:
        assert made.family in (socket.AF_INET, socket.AF_INET6)


def test_what_the_settings_name_gets_a_socket_though_it_is_private() -> None:
    for entry, address in (("localhost", "127.0.0.1"), ("127.0.0.1:80", "127.0.0.1"), ("localhost", "::1")):
        AllowList.of_media_hosts([entry]).socket(info(address)).close()
    with pytest.raises(AddressRefusedError):
        AllowList.of_media_hosts(["localhost"]).socket(info("10.0.0.1"))
    AllowList.of_origins([URL("http://simulator/")]).socket(info("10.0.0.1")).close()


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_an_address_of_this_machine_is_told_from_a_private_one(address: str) -> None:
    refusing = AllowList.of_media_hosts(DEFAULTS)
    for told, leads_here in ((address, True), ("10.0.0.1", False), ("64:ff9b::a00:1", False)):
        with pytest.raises(AddressRefusedError) as caught:
            refusing.socket(info(told))
        assert caught.value.leads_here == leads_here
