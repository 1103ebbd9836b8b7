"""A link with which the operator signs in at `/admin` where no one can sign in with Twitch.

`serve` prints it in its terminal when it listens on this machine alone. Links and what they open are kept in
memory, hashed: they end with the process.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
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
        self._token: tuple[bytes, datetime] | None = None
        self._session: tuple[bytes, datetime] | None = None

    def new_token(self) -> Secret:
        """Make the token of a link, which replaces the one before. It works once, within `LINK_LIFETIME`."""
        token, self._token = _made(self._clock.now() + LINK_LIFETIME)
        return token

    def open(self, token: str) -> Secret | None:
        """Use up a link: the new session, which ends the one before; None for a token that is not valid."""
        if not self._is(self._token, token):
            return None
        self._token = None
        session, self._session = _made(self._clock.now() + SESSION_LIFETIME)
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

    def _is(self, known: tuple[bytes, datetime] | None, text: str) -> bool:
        return known is not None and self._clock.now() < known[1] and hmac.compare_digest(_hash(text), known[0])


def _made(until: datetime) -> tuple[Secret, tuple[bytes, datetime]]:
    text = secrets.token_urlsafe(32)
    return Secret(text), (_hash(text), until)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
