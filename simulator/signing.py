"""Signs playback tokens, which usher verifies, and seals opaque addresses, which only the simulator can make."""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any, Final

_MARK: Final = 9


class Signer:
    """Signs and seals with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def signature(self, text: str) -> str:
        """The signature of a text: 40 hexadecimal digits, like Twitch's."""
        return hmac.new(self._secret, text.encode(), hashlib.sha1).hexdigest()

    def verify(self, text: str, signature: str) -> bool:
        """Whether the signature is that of exactly this text."""
        return hmac.compare_digest(self.signature(text).encode(), signature.encode("utf-8", "replace"))

    def seal(self, content: dict[str, Any]) -> str:
        """A URL-safe word that contains the content and cannot be altered or forged."""
        body = json.dumps(content, separators=(",", ":")).encode()
        mark = hmac.digest(self._secret, body, "sha256")[:_MARK]
        return base64.urlsafe_b64encode(mark + body).decode().rstrip("=")

    def unseal(self, word: str) -> dict[str, Any] | None:
        """The content of a sealed word, or None when `seal` did not make the word."""
        try:
            raw = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
        except (binascii.Error, ValueError):
            return None
        mark, body = raw[:_MARK], raw[_MARK:]
        if not hmac.compare_digest(hmac.digest(self._secret, body, "sha256")[:_MARK], mark):
            return None
        return json.loads(body)
