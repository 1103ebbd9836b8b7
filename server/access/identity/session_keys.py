"""The keys of the website's sessions: one for cookies, one for tokens at rest, one for CSRF tokens.

All come from the text in `TWITCHAUDIO_SESSION_KEY`, or from the file `session.key` in the data folder, which is
made once. Several texts may be given: the first is used, and what was made with the others still counts.
"""

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fingerprint.settings import Secret, SettingsError
from server.settings import KEY_LENGTH, session_keys

FILE: Final = "session.key"


class SessionKeys:
    """Encrypts, decrypts and signs."""

    def __init__(self, texts: Sequence[Secret]) -> None:
        self._cookies = MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(text, "cookie"))) for text in texts])
        self._tokens = MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(text, "tokens"))) for text in texts])
        self._csrf = [_derive(text, "csrf") for text in texts]

    def seal_cookie(self, content: bytes) -> str:
        """What a cookie holds."""
        return self._cookies.encrypt(content).decode()

    def open_cookie(self, cookie: str, max_age_seconds: int) -> bytes | None:
        """The inverse; None for what was not sealed with one of our keys, or too long ago."""
        return _opened(self._cookies, cookie, max_age_seconds)

    def seal_tokens(self, content: bytes) -> str:
        """What the database holds of a user's tokens."""
        return self._tokens.encrypt(content).decode()

    def open_tokens(self, sealed: str) -> bytes | None:
        """The inverse; None when none of our keys fits."""
        return _opened(self._tokens, sealed, None)

    def csrf_token(self, session_id: str) -> str:
        """What a page of a session sends along with whatever changes something."""
        return _signature(self._csrf[0], session_id)

    def is_csrf_token(self, token: str, session_id: str) -> bool:
        """Whether a token is that session's, compared in constant time."""
        sent = token.encode("utf-8", "replace")
        return any(hmac.compare_digest(_signature(key, session_id).encode(), sent) for key in self._csrf)


def _derive(text: Secret, purpose: str) -> bytes:
    info = f"twitchaudio-session-{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(text.reveal().encode())


def _signature(key: bytes, session_id: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, session_id.encode(), hashlib.sha256)).decode().rstrip("=")


def _opened(keys: MultiFernet, sealed: str, max_age_seconds: int | None) -> bytes | None:
    # A header's odd bytes arrive as surrogates, which have no UTF-8.
    if not sealed.isascii():
        return None
    with contextlib.suppress(InvalidToken):
        return keys.decrypt(sealed.encode(), ttl=max_age_seconds)
    return None


def kept_keys(configured: Sequence[Secret], data_dir: Path) -> Sequence[Secret]:
    """The configured texts, or those in the file, which is made when there is none; only its owner may read it.

    Raises SettingsError when the file cannot be made or holds no key.
    """
    if configured:
        return configured
    file = data_dir / FILE
    try:
        if not file.exists():
            _make(file)
        return session_keys(",".join(file.read_text(encoding="ascii").split()))
    except OSError as error:
        takes = f"a key; without one, it is kept in {file}: {error.strerror}"
        raise SettingsError("TWITCHAUDIO_SESSION_KEY", "", takes, secret=True) from error
    except ValueError as error:
        takes = f"at least {KEY_LENGTH} characters a key, also in {file}: remove that file to have a new one"
        raise SettingsError("TWITCHAUDIO_SESSION_KEY", "", takes, secret=True) from error


def _make(file: Path) -> None:
    """Whole or not at all, and the same for two servers that start at once."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Only its owner may read a file that mkstemp makes.
    descriptor, name = tempfile.mkstemp(prefix=f".{FILE}-", dir=file.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(secrets.token_urlsafe(KEY_LENGTH) + "\n")
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            file.hardlink_to(part)
    finally:
        part.unlink()
