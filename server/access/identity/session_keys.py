"""Keys for the website's sessions: to encrypt cookies and stored tokens, and to sign CSRF tokens.

They are derived from the secrets in `TWITCHAUDIO_SESSION_KEY`, or from the file `session.key` in the data folder,
which is created if missing. Several secrets allow rotation: the first one encrypts and signs, all are accepted.
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

from fingerprint.setting_formats import Secret
from fingerprint.settings import SettingsError
from server.setting_formats import KEY_LENGTH, session_keys

FILE: Final = "session.key"


class SessionKeys:
    """Encrypts cookies and tokens, and signs CSRF tokens, with keys derived from the configured secrets."""

    def __init__(self, texts: Sequence[Secret]) -> None:
        self._cookies = MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(text, "cookie"))) for text in texts])
        self._tokens = MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(text, "tokens"))) for text in texts])
        self._csrf = [_derive(text, "csrf") for text in texts]

    def seal_cookie(self, content: bytes) -> str:
        """Encrypt the content of a cookie."""
        return self._cookies.encrypt(content).decode()

    def open_cookie(self, cookie: str, max_age_seconds: int) -> bytes | None:
        """Decrypt a cookie; None when it is not from one of our keys, or older than `max_age_seconds`."""
        return _opened(self._cookies, cookie, max_age_seconds)

    def seal_tokens(self, content: bytes) -> str:
        """Encrypt a user's tokens for the database."""
        return self._tokens.encrypt(content).decode()

    def open_tokens(self, sealed: str) -> bytes | None:
        """Decrypt a user's tokens; None when they were encrypted with none of our keys."""
        return _opened(self._tokens, sealed, None)

    def csrf_token(self, session_id: str) -> str:
        """The CSRF token of a session, which our pages send with every request that changes something."""
        return _signature(self._csrf[0], session_id)

    def is_csrf_token(self, token: str, session_id: str) -> bool:
        """Whether a token is the session's CSRF token; compares in constant time."""
        sent = token.encode("utf-8", "replace")
        return any(hmac.compare_digest(_signature(key, session_id).encode(), sent) for key in self._csrf)


def _derive(text: Secret, purpose: str) -> bytes:
    info = f"twitchaudio-session-{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(text.reveal().encode())


def _signature(key: bytes, session_id: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, session_id.encode(), hashlib.sha256)).decode().rstrip("=")


def _opened(keys: MultiFernet, sealed: str, max_age_seconds: int | None) -> bytes | None:
    # Invalid bytes in a header arrive as surrogates, which cannot be encoded as UTF-8.
    if not sealed.isascii():
        return None
    with contextlib.suppress(InvalidToken):
        return keys.decrypt(sealed.encode(), ttl=max_age_seconds)
    return None


def kept_keys(configured: Sequence[Secret], data_dir: Path) -> Sequence[Secret]:
    """The configured secrets, or those in the file, which is created if missing and readable by its owner only.

    Raises SettingsError when the file cannot be created or read, or holds no valid secret.
    """
    if configured:
        return configured
    file = data_dir / FILE
    try:
        if not file.exists():
            _create_key_file(file)
        return session_keys(",".join(file.read_text(encoding="ascii").split()))
    except OSError as error:
        takes = f"a key; without one, it is kept in {file}: {error.strerror}"
        raise SettingsError("TWITCHAUDIO_SESSION_KEY", "", takes, secret=True) from error
    except ValueError as error:
        takes = f"at least {KEY_LENGTH} characters a key, also in {file}: remove that file to have a new one"
        raise SettingsError("TWITCHAUDIO_SESSION_KEY", "", takes, secret=True) from error


def _create_key_file(file: Path) -> None:
    """Create the file atomically; of servers that start at the same time, all use the first one's."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # mkstemp creates files that only their owner may read.
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
