"""Counts what Twitch sends that was never seen before, so that an operator sees it change."""

import logging
import re
from typing import Final

from cachetools import TTLCache

from fingerprint.ports import Clock, OnUnknown

OTHER: Final = "other"
MAX_VALUES: Final = 30
"""How many values of one kind are told apart; further ones are `other`."""

LOG_EVERY_SECONDS: Final = 3_600.0
"""Each value is logged once in this time."""

_MAX_CHARACTERS: Final = 48
_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9._()-]+")
_NUMBER: Final = re.compile(r"[0-9]{3,}")

_log = logging.getLogger(__name__)


class UnknownSigns:
    """Passes unknown signs on to `on_unknown`, as few and harmless values, and logs each of them once an hour."""

    def __init__(self, on_unknown: OnUnknown, clock: Clock) -> None:
        self._on_unknown = on_unknown
        self._values: dict[str, set[str]] = {}
        self._logged: TTLCache[tuple[str, str], bool] = TTLCache(1_000, LOG_EVERY_SECONDS, clock.monotonic)

    def note(self, kind: str, value: str) -> None:
        """Count one occurrence."""
        known = self._values.setdefault(kind, set())
        label = label_of(value)
        if label not in known:
            if len(known) < MAX_VALUES:
                known.add(label)
            else:
                label = OTHER
        if (kind, label) not in self._logged:
            self._logged[kind, label] = True
            _log.warning("twitch_unknown", extra={"kind": kind, "value": label})
        self._on_unknown(kind, label)

    def note_host(self, host: str) -> None:
        """Count a host that is not on the allow-list, by the last two parts of its name."""
        is_address = ":" in host or host.replace(".", "").isdecimal()
        self.note("host", "(address)" if is_address else ".".join(host.rstrip(".").split(".")[-2:]) or "(none)")


def label_of(value: str) -> str:
    """A value as a label: at most 48 plain characters, and long numbers as `000`, since they differ each time."""
    return _NUMBER.sub("000", _UNUSUAL.sub("_", value[:_MAX_CHARACTERS])) or "(empty)"
