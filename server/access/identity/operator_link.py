"""A link with which the operator signs in at `/admin` where no one can sign in with Twitch.

`serve` prints it in its terminal when it listens on this machine alone. Links and what they open are kept in
memory, hashed: they end with the process.
"""

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Final

from fingerprint.ports import Clock
from fingerprint.setting_formats import Secret
from server.audit.entries import Who

LINK_LIFETIME: Final = timedelta(minutes=15)
SESSION_LIFETIME: Final = timedelta(hours=12)


class OperatorLink:
    """The newest link, and the session of the browser that opened one."""

    def __init__(self, clock: Clock, operator: Who) -> None:
        self.operator = operator
        """Who can read the terminal of this process, as the audit log names them."""
        self._clock = clock
        self._csrf_key = secrets.token_bytes(32)
        # Until when, by the monotonic clock: neither ends early or late when the machine's clock is set.
        self._token: tuple[bytes, float] | None = None
        self._session: tuple[bytes, float] | None = None

    def new_token(self) -> Secret:
        """Make the token of a link, which replaces the one before. It works once, within `LINK_LIFETIME`."""
        token, self._token = _made(self._clock.monotonic() + LINK_LIFETIME.total_seconds())
        return token

    def open(self, token: str) -> Secret | None:
        """Use up a link: the new session, which ends the one before; None for a token that is not valid."""
        if not self._is(self._token, token):
            return None
        self._token = None
        session, self._session = _made(self._clock.monotonic() + SESSION_LIFETIME.total_seconds())
        return session

    def is_session(self, session: str) -> bool:
        """Whether a session was opened by a link and has not ended."""
        return self._is(self._session, session)

    def end(self) -> None:
        """End the session."""
        self._session = None

    def csrf_token(self, session: str) -> str:
        """The CSRF token of a session, for its forms."""
        return hmac.new(self._csrf_key, session.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def is_csrf_token(self, token: str, session: str) -> bool:
        """Whether a token is the session's CSRF token; compares in constant time."""
        return hmac.compare_digest(self.csrf_token(session).encode(), token.encode("utf-8", "replace"))

    def _is(self, known: tuple[bytes, float] | None, text: str) -> bool:
        valid = known is not None and self._clock.monotonic() < known[1]
        return known is not None and valid and hmac.compare_digest(_hash(text), known[0])


def _made(until: float) -> tuple[Secret, tuple[bytes, float]]:
    text = secrets.token_urlsafe(32)
    return Secret(text), (_hash(text), until)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
