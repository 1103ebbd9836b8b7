"""Notes headers of proxies that are not trusted, so that the operator learns that all clients look like one."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fingerprint.ports import Clock

HEADERS: Final = ("X-Forwarded-For", "Forwarded", "X-Real-IP")
SHOWN: Final = timedelta(days=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    peer: str
    at: datetime


class UntrustedForwarding:
    """The newest sender of such a header. A client may send it by itself, so this is a hint and no more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: _Seen | None = None

    def note(self, peer: str) -> None:
        """A peer that is not in `TWITCHAUDIO_TRUSTED_PROXIES` has sent such a header."""
        if self._seen is None:
            _log.warning("forwarding_header_ignored", extra={"peer": peer, "set": "TWITCHAUDIO_TRUSTED_PROXIES"})
        self._seen = _Seen(peer, self._clock.now())

    def warning(self) -> str | None:
        """What to tell the operator; None when there was none in the last day."""
        seen = self._seen
        if seen is None or self._clock.now() - seen.at > SHOWN:
            return None
        return (
            f"{seen.peer} sends forwarding headers ({', '.join(HEADERS)}), which are ignored. If it is your "
            "proxy, add it to TWITCHAUDIO_TRUSTED_PROXIES: without that, its visitors all count as one address. "
            "If it is not, there is nothing to do."
        )
