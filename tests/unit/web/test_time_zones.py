"""Time zones that visitors name: IANA's, and nothing of the machine's."""

import pytest

from fingerprint.domain.problems import TwitchAudioError
from server.web.time_zones import zone_named


@pytest.mark.parametrize(
    "name",
    [
        "UTC",
        "Europe/Berlin",
        "America/Argentina/Buenos_Aires",
        "Etc/GMT+12",
        "Asia/Calcutta",
        "America/Port-au-Prince",
    ],
)
def test_a_zone_has_its_name(name: str) -> None:
    assert zone_named(name).key == name


@pytest.mark.parametrize(
    "name",
    [
        *("Mars/Olympus", "Europe", "Europe/", "/etc/passwd", "../../etc/passwd", "Europe/../Europe/Berlin"),
        *("localtime", "posixrules", "posix/Europe/Berlin", "zone.tab", "A" * 33, f"Europe/{'a' * 4000}"),
        *("Europe/Berlin\0", "Europe/Berlin\n", "\u0395urope/Berlin", "+01:00", "europe/berlin"),
    ],
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(TwitchAudioError, match="like this: Europe/Berlin"):
        zone_named(name)
