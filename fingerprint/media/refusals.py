"""Refusals that asking again does not change (RFC 9110, 15.5; RFC 7725), in plain words."""

from collections.abc import Mapping
from typing import Final

from fingerprint.domain.problems import ProblemCode, UpstreamError

_MAY_PASS: Final = frozenset({403, 404, 408, 425, 429})
"""What changes for media by itself: segments move on, addresses are signed again, servers have time again."""

PROTECTED: Final = "We can't listen to this: it is protected with DRM and only plays in a browser."

_SENTENCES: Final[Mapping[int, tuple[ProblemCode, str]]] = {
    401: (ProblemCode.RESTRICTED_STREAM, "{} gives this sound only to viewers who are signed in"),
    402: (ProblemCode.RESTRICTED_STREAM, "{} gives this sound only to viewers who pay for it"),
    407: (
        ProblemCode.UPSTREAM_UNAVAILABLE,
        "A proxy between this server and {} wants a password. The operator of this server has to look",
    ),
    410: (ProblemCode.UPSTREAM_UNAVAILABLE, "{} no longer has this sound"),
    421: (
        ProblemCode.UPSTREAM_UNAVAILABLE,
        "Something between this server and {} sends requests to the wrong machine. The operator of this server "
        "has to look",
    ),
    451: (ProblemCode.RESTRICTED_STREAM, "{} may not give out this sound, for legal reasons"),
}


def permanent_refusal(step: str, upstream: str, status: int) -> UpstreamError | None:
    """The error for a status that stays as it is; None for one that may pass, or is no refusal."""
    if not 400 <= status < 500 or status in _MAY_PASS:
        return None
    usual = (ProblemCode.UPSTREAM_UNAVAILABLE, "{} refuses this server's request for the sound")
    code, sentence = _SENTENCES.get(status, usual)
    detail = f"{sentence.format(upstream)} (HTTP {status})."
    return UpstreamError(step, detail, code=code, retry_after_seconds=None)
