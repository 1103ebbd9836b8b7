"""Addresses that others have written."""

import pytest
from yarl import URL

from fingerprint.domain.web_addresses import read_address
from fingerprint.hls.attributes import PlaylistError, address


@pytest.mark.parametrize("text", ["https://[a]@", "https://[]@/x", "//[a]@#x", "https://[a", "http://x:port"])
@pytest.mark.parametrize("encoded", [False, True])
def test_what_cannot_be_read_is_a_value_error(text: str, encoded: bool) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_address(text, encoded=encoded).port  # noqa: B018 - the port is read when it is asked for


def test_other_addresses_are_as_yarl_reads_them() -> None:
    assert read_address("https://a.example/%7E?b", encoded=True) == URL("https://a.example/%7E?b", encoded=True)


def test_playlists_and_links_are_read_with_it() -> None:
    with pytest.raises(PlaylistError):
        address(URL("https://a.example/x.m3u8"), "https://[a]@/1.ts")
