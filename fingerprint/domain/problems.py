"""Everything that can go wrong: the public problem codes and the one exception that carries them.

    TwitchAudioError(code, detail)      everything that is reported to a user
      UpstreamError(step, ...)          Twitch, a provider or a network between us and them

Adapters turn every error of their library into this tree; anything else is a bug and becomes `internal`.
"""

import copy
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self


class ProblemCode(StrEnum):
    """The public problem codes, which clients rely on; see docs/api.md."""

    INVALID_INPUT = "invalid-input"
    NOT_FOUND = "not-found"
    NOT_IDENTIFIED = "not-identified"
    CHANNEL_NOT_FOUND = "channel-not-found"
    NOT_LIVE = "not-live"
    CLIP_NOT_FOUND = "clip-not-found"
    VIDEO_NOT_FOUND = "video-not-found"
    RESTRICTED_STREAM = "restricted-stream"
    MOMENT_GONE = "moment-gone"
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
    NOT_PUBLIC = "not-public"
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
    """What all problems with the same code have in common.

    `status` is its HTTP status and `title` its RFC 9457 title. Pages show `heading` instead of the title, and
    `next_step`, which says what the reader can do.
    """

    status: int
    title: str
    heading: str
    next_step: str


PROBLEM_KINDS: Final[dict[ProblemCode, ProblemKind]] = {
    ProblemCode.INVALID_INPUT: ProblemKind(
        400,
        "The request is not valid",
        "We did not understand that",
        "Check what you entered. To identify a song, enter a channel name, or paste the address of a channel, "
        "clip or video.",
    ),
    ProblemCode.NOT_FOUND: ProblemKind(
        404,
        "There is nothing at this address",
        "There is nothing here",
        "The address may be mistyped, or the answer has expired. Try again.",
    ),
    ProblemCode.NOT_IDENTIFIED: ProblemKind(
        404, "This has not been identified yet", "Not identified yet", "Identify it now; it takes a moment."
    ),
    ProblemCode.CHANNEL_NOT_FOUND: ProblemKind(
        404,
        "This channel does not exist on Twitch",
        "No such channel on Twitch",
        "Check the spelling. Use the name from the channel's address, not the display name.",
    ),
    ProblemCode.NOT_LIVE: ProblemKind(
        409,
        "The channel is not live",
        "Not live right now",
        "Try again once the stream has started, or paste the address of a clip or a past broadcast.",
    ),
    ProblemCode.CLIP_NOT_FOUND: ProblemKind(
        404,
        "This clip does not exist on Twitch",
        "No such clip on Twitch",
        "It may have been deleted. Try copying its address again with Twitch's share button.",
    ),
    ProblemCode.VIDEO_NOT_FOUND: ProblemKind(
        404,
        "This video does not exist on Twitch",
        "No such video on Twitch",
        "Past broadcasts are deleted after a while. Check the address, or try a clip.",
    ),
    ProblemCode.RESTRICTED_STREAM: ProblemKind(
        403,
        "The broadcast is restricted",
        "This broadcast is not open to everyone",
        "It is for subscribers only, or not available in our server's country. A public clip of it may work.",
    ),
    ProblemCode.MOMENT_GONE: ProblemKind(
        410,
        "The moment cannot be heard any more",
        "That moment is gone",
        "Ask about what is playing now, or about a more recent moment.",
    ),
    ProblemCode.AD_BREAK: ProblemKind(
        503,
        "An ad is playing",
        "An ad is playing",
        "Try again after the ad break.",
    ),
    ProblemCode.NO_AUDIO: ProblemKind(
        422,
        "There is no sound to identify",
        "There is no sound",
        "The broadcast is silent at the moment. Try again when you hear music.",
    ),
    ProblemCode.LOGIN_REQUIRED: ProblemKind(
        401, "Sign in first", "Sign in first", "Sign in with Twitch, then try again."
    ),
    ProblemCode.SUBSCRIPTION_REQUIRED: ProblemKind(
        403,
        "A subscription is required",
        "For subscribers only",
        "Subscribe to one of the listed channels, or redeem an access code.",
    ),
    ProblemCode.TOKEN_INVALID: ProblemKind(
        401, "The token is not valid", "Your sign-in has expired", "Sign in again."
    ),
    ProblemCode.TOKEN_WRONG_CLIENT: ProblemKind(
        401,
        "The token was issued to another application",
        "This token belongs to another application",
        "Use a token that was issued for this service.",
    ),
    ProblemCode.KEY_INVALID: ProblemKind(
        401,
        "The API key is not valid",
        "This API key is not valid",
        "Check it, or ask the operator for a new one.",
    ),
    ProblemCode.FORBIDDEN: ProblemKind(
        403, "This is not allowed", "You don't have permission", "Ask the operator if you think this is a mistake."
    ),
    ProblemCode.CSRF: ProblemKind(
        403,
        "The request did not come from our page",
        "This page is out of date",
        "Reload the page and try again.",
    ),
    ProblemCode.BLACKLISTED: ProblemKind(
        403,
        "This is blocked by the operator",
        "The operator has blocked this",
        "Try another channel or clip.",
    ),
    ProblemCode.NOT_PUBLIC: ProblemKind(
        403,
        "This is not public",
        "This set list is not public",
        "Only the channel's owner can see it. You can still identify what is playing now.",
    ),
    ProblemCode.CODE_INVALID: ProblemKind(
        422,
        "The access code is not valid",
        "This access code does not work",
        "Check the spelling, or ask the operator for a new code.",
    ),
    ProblemCode.JOB_IN_PROGRESS: ProblemKind(
        409,
        "Another identification is still running",
        "Another identification is still running",
        "It was started from your network. Try again in a few seconds.",
    ),
    ProblemCode.RATE_LIMITED: ProblemKind(
        429, "Too many requests", "Too many requests", "Wait a moment, then try again."
    ),
    ProblemCode.MAINTENANCE: ProblemKind(
        503, "The service is down for maintenance", "Down for maintenance", "Come back in a little while."
    ),
    ProblemCode.INACTIVE: ProblemKind(
        503,
        "The service is switched off",
        "The service is switched off",
        "The operator has switched it off. Try again later.",
    ),
    ProblemCode.STREAMS_DISABLED: ProblemKind(
        403, "Live streams are switched off", "Live streams are switched off", "You can still try clips."
    ),
    ProblemCode.CLIPS_DISABLED: ProblemKind(
        403, "Clips are switched off", "Clips are switched off", "You can still try live streams."
    ),
    ProblemCode.RECOGNIZER_UNAVAILABLE: ProblemKind(
        503,
        "No recognizer is available",
        "Music recognition is not available right now",
        "Try again later. If this is your server, add music to the catalog or set up a provider.",
    ),
    ProblemCode.UPSTREAM_UNAVAILABLE: ProblemKind(
        503,
        "Twitch or a provider is having problems",
        "Twitch is having problems",
        "Try again in a minute.",
    ),
    ProblemCode.TIMEOUT: ProblemKind(
        504, "It took too long", "That took too long", "Try again; Twitch or our server may have been slow."
    ),
    ProblemCode.BUSY: ProblemKind(
        503, "Too much is going on", "Too many requests at once", "Try again in a few seconds."
    ),
    ProblemCode.INTERNAL: ProblemKind(
        500, "Something is broken on our side", "Something broke on our side", "It is logged. Try again."
    ),
}
"""The kind of each code. Add a new code to `ProblemCode` and here; API, OpenAPI, pages and extension follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One occurrence of a problem, as stored with an identification and shown to clients.

    `detail` is one or two sentences for the viewer who asked. `retry_after_seconds` is set when asking again
    makes sense. `step` names the upstream step that failed, for operators.
    """

    code: ProblemCode
    detail: str
    retry_after_seconds: float | None = None
    step: str | None = None


_OPERATORS_WORDS: Final = re.compile(r"`|\b[A-Z]{2,}_[A-Z]")
"""Commands and names of settings."""

NOTHING_RECOGNIZES: Final = "Music can't be recognized here right now."


def has_operators_words(problem: Problem) -> bool:
    """Whether the detail says what an operator can do about missing recognizers."""
    is_missing = problem.code is ProblemCode.RECOGNIZER_UNAVAILABLE
    return is_missing and _OPERATORS_WORDS.search(problem.detail) is not None


def public_problem(problem: Problem) -> Problem:
    """The problem as callers who are not operators are given it: without commands and names of settings."""
    return replace(problem, detail=NOTHING_RECOGNIZES) if has_operators_words(problem) else problem


class TwitchAudioError(Exception):
    """A problem that is reported to the user who asked, identified by its code."""

    def __init__(self, code: ProblemCode, detail: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds

    def __reduce__(self) -> tuple[object, ...]:
        # An exception is unpickled by calling its class with `args`, which no class here takes.
        return (_rebuild, (type(self), self.args), self.__dict__)

    def fresh_copy(self) -> Self:
        """A copy for each of the callers that share an error, since one object would collect all tracebacks."""
        return copy.copy(self)

    @property
    def problem(self) -> Problem:
        """The problem as a value, to be stored or sent."""
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
        return copy.copy(self)

    @property
    def problem(self) -> Problem:
        return Problem(
            code=self.code, detail=self.detail, retry_after_seconds=self.retry_after_seconds, step=self.step
        )


def invalid_input(detail: str) -> TwitchAudioError:
    """The error for a request that cannot be understood; `detail` says what would be accepted."""
    return TwitchAudioError(ProblemCode.INVALID_INPUT, detail)


def channel_renamed(login: str, now: str) -> TwitchAudioError:
    """The error for a login that no account has any more, since its channel took the login `now`."""
    detail = f"The channel {login!r} was renamed: it is now called {now!r}."
    return TwitchAudioError(ProblemCode.CHANNEL_NOT_FOUND, detail)
