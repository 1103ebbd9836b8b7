"""Time zones that visitors name, such as `Europe/Berlin`."""

import re
from typing import Final
from zoneinfo import ZoneInfo

from fingerprint.domain.problems import invalid_input

_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")
"""What IANA's names look like. Zones of the machine's own, such as `localtime`, and paths do not."""


def zone_named(name: str) -> ZoneInfo:
    """The zone of a name in IANA's database. Reads a file, so it belongs into a thread.

    Raises TwitchAudioError `invalid-input` when there is none.
    """
    try:
        if _NAME.fullmatch(name):
            return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        pass
    raise invalid_input("Write the time zone like this: Europe/Berlin.")
