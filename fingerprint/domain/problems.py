"""What can go wrong, said once: the public problem codes and the one exception that carries them.

    TwitchAudioError(code, detail)      everything that a user is told about
      UpstreamError(step, ...)          Twitch, a provider or a network between us and them

Adapters turn every error of their library into this tree; anything else is a bug and becomes `internal`.
"""

import copy
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self


class ProblemCode(StrEnum):
    """The public codes. Clients rely on them; see docs/api.md."""

    INVALID_INPUT = "invalid-input"
    NOT_FOUND = "not-found"
    NOT_IDENTIFIED = "not-identified"
    CHANNEL_NOT_FOUND = "channel-not-found"
    NOT_LIVE = "not-live"
    CLIP_NOT_FOUND = "clip-not-found"
    VIDEO_NOT_FOUND = "video-not-found"
    RESTRICTED_STREAM = "restricted-stream"
    AD_BREAK = "ad-break"
    NO_AUDIO = "no-audio"
    LOGIN_REQUIRED = "login-required"
    SUBSCRIPTION_REQUIRED = "subscription-required"
    TOKEN_INVALID = "token-invalid"  # noqa: S105 - a problem code, no secret
    TOKEN_WRONG_CLIENT = "token-wrong-client"  # noqa: S105 - a problem code, no secret
    KEY_INVALID = "key-invalid"
    FORBIDDEN = "forbidden"
    CSRF = "csrf"
    BLACKLISTED = "blacklisted"
    CODE_INVALID = "code-invalid"
    JOB_IN_PROGRESS = "job-in-progress"
    RATE_LIMITED = "rate-limited"
    MAINTENANCE = "maintenance"
    INACTIVE = "inactive"
    STREAMS_DISABLED = "streams-disabled"
    CLIPS_DISABLED = "clips-disabled"
    RECOGNIZER_UNAVAILABLE = "recognizer-unavailable"
    UPSTREAM_UNAVAILABLE = "upstream-unavailable"
    TIMEOUT = "timeout"
    BUSY = "busy"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """What every problem of one code has in common: a title for people and an HTTP status."""

    title: str
    status: int


PROBLEM_KINDS: Final[dict[ProblemCode, ProblemKind]] = {
    ProblemCode.INVALID_INPUT: ProblemKind("The request cannot be understood", 400),
    ProblemCode.NOT_FOUND: ProblemKind("There is nothing at this address", 404),
    ProblemCode.NOT_IDENTIFIED: ProblemKind("Nobody has identified this yet", 404),
    ProblemCode.CHANNEL_NOT_FOUND: ProblemKind("Twitch knows no such channel", 404),
    ProblemCode.NOT_LIVE: ProblemKind("The channel is not live", 409),
    ProblemCode.CLIP_NOT_FOUND: ProblemKind("Twitch knows no such clip", 404),
    ProblemCode.VIDEO_NOT_FOUND: ProblemKind("Twitch knows no such video", 404),
    ProblemCode.RESTRICTED_STREAM: ProblemKind("The broadcast is restricted", 403),
    ProblemCode.AD_BREAK: ProblemKind("An advertisement is running", 503),
    ProblemCode.NO_AUDIO: ProblemKind("There is no sound to identify", 422),
    ProblemCode.LOGIN_REQUIRED: ProblemKind("Sign in first", 401),
    ProblemCode.SUBSCRIPTION_REQUIRED: ProblemKind("A subscription is needed", 403),
    ProblemCode.TOKEN_INVALID: ProblemKind("The token is not valid", 401),
    ProblemCode.TOKEN_WRONG_CLIENT: ProblemKind("The token was issued to another application", 401),
    ProblemCode.KEY_INVALID: ProblemKind("The API key is not valid", 401),
    ProblemCode.FORBIDDEN: ProblemKind("This is not allowed", 403),
    ProblemCode.CSRF: ProblemKind("The request was not sent by our page", 403),
    ProblemCode.BLACKLISTED: ProblemKind("This is blocked by the operator", 403),
    ProblemCode.CODE_INVALID: ProblemKind("The access code is not valid", 422),
    ProblemCode.JOB_IN_PROGRESS: ProblemKind("Another identification of yours is running", 409),
    ProblemCode.RATE_LIMITED: ProblemKind("Too many requests", 429),
    ProblemCode.MAINTENANCE: ProblemKind("The service is being maintained", 503),
    ProblemCode.INACTIVE: ProblemKind("The service is switched off", 503),
    ProblemCode.STREAMS_DISABLED: ProblemKind("Live streams are switched off", 403),
    ProblemCode.CLIPS_DISABLED: ProblemKind("Clips are switched off", 403),
    ProblemCode.RECOGNIZER_UNAVAILABLE: ProblemKind("No recognizer can answer", 503),
    ProblemCode.UPSTREAM_UNAVAILABLE: ProblemKind("Twitch or a provider does not answer properly", 503),
    ProblemCode.TIMEOUT: ProblemKind("It took too long", 504),
    ProblemCode.BUSY: ProblemKind("Too much is going on", 503),
    ProblemCode.INTERNAL: ProblemKind("Something is broken on our side", 500),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One occurrence of a problem, as stored with an identification and shown to clients.

    `detail` is one sentence or two for the person who asked. `retry_after_seconds` is set when asking again
    makes sense. `step` names the upstream step that failed, for operators.
    """

    code: ProblemCode
    detail: str
    retry_after_seconds: float | None = None
    step: str | None = None


class TwitchAudioError(Exception):
    """A problem that the person who asked is told about, by code."""

    def __init__(self, code: ProblemCode, detail: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds

    def __reduce__(self) -> tuple[object, ...]:
        # An exception is unpickled by calling its class with `args`, which no class here takes.
        return (_rebuild, (type(self), self.args), self.__dict__)

    def fresh_copy(self) -> Self:
        """A copy to raise where many callers share an error: tracebacks of one object would all add up."""
        return copy.copy(self)

    @property
    def problem(self) -> Problem:
        """The same as a value."""
        return Problem(code=self.code, detail=self.detail, retry_after_seconds=self.retry_after_seconds)


def _rebuild(kind: type[TwitchAudioError], args: tuple[object, ...]) -> TwitchAudioError:
    return kind.__new__(kind, *args)


class UpstreamError(TwitchAudioError):
    """A service that we depend on failed at a named step, such as `gql`, `usher`, `playlist` or `segment`."""

    def __init__(
        self,
        step: str,
        detail: str,
        *,
        code: ProblemCode = ProblemCode.UPSTREAM_UNAVAILABLE,
        retry_after_seconds: float | None = 5.0,
    ) -> None:
        super().__init__(code, detail, retry_after_seconds=retry_after_seconds)
        self.step = step

    def fresh_copy(self) -> Self:
        """A copy to raise where many callers share an error: tracebacks of one object would all add up."""
        return copy.copy(self)

    @property
    def problem(self) -> Problem:
        """The same as a value."""
        return Problem(
            code=self.code, detail=self.detail, retry_after_seconds=self.retry_after_seconds, step=self.step
        )


def invalid_input(detail: str) -> TwitchAudioError:
    """The error for a request that cannot be understood; `detail` says what would be."""
    return TwitchAudioError(ProblemCode.INVALID_INPUT, detail)
