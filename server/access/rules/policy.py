"""The access policy: a pure function from the facts about a request to a refusal or none. No I/O."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fingerprint.domain.identification import Kind
from fingerprint.domain.problems import ProblemCode
from server.access.rules.website import AccessMode, WebsiteSettings
from server.access.scopes import scope_of


class Subscription(StrEnum):
    """Whether the user is subscribed to one of the listed broadcasters, as far as Twitch tells us."""

    YES = "yes"
    NO = "no"
    SCOPE_MISSING = "scope-missing"
    """The user's sign-in does not include the scope to ask Twitch."""
    UNKNOWN = "unknown"
    """Twitch does not answer, and there is no recent answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that the policy decides on."""

    website: WebsiteSettings
    kind: Kind
    blacklisted: bool = False
    """Whether the user, the address or the target is blacklisted."""
    signed_in: bool = False
    entitled: bool = False
    """Whether the user is whitelisted or has redeemed an access code."""
    subscription: Subscription = Subscription.NO
    broadcasters: tuple[str, ...] = ()
    """Logins of the listed broadcasters, for the text of a refusal."""
    key_scopes: frozenset[str] | None = None
    """Scopes of the API key; None for requests without one."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused: a problem code, and a sentence that tells the user what would help."""

    code: ProblemCode
    detail: str


_MAINTENANCE: Final = Refusal(ProblemCode.MAINTENANCE, "We are working on the service. Come back in a while.")
_INACTIVE: Final = Refusal(ProblemCode.INACTIVE, "The operator has switched the service off.")
BLACKLISTED: Final = Refusal(ProblemCode.BLACKLISTED, "The operator has blocked this.")
_STREAMS: Final = Refusal(
    ProblemCode.STREAMS_DISABLED, "The operator has switched live streams and their recordings off."
)
_CLIPS: Final = Refusal(ProblemCode.CLIPS_DISABLED, "The operator has switched clips off.")
_LOGIN: Final = Refusal(ProblemCode.LOGIN_REQUIRED, "Sign in with Twitch to use this server.")
_INVITED: Final = Refusal(
    ProblemCode.SUBSCRIPTION_REQUIRED, "This server is invite-only: you need an invitation or an access code."
)
_UNKNOWN: Final = Refusal(
    ProblemCode.UPSTREAM_UNAVAILABLE,
    "This server is for subscribers, and Twitch is not telling us whether you are one. Try again in a moment.",
)
_MAX_NAMED: Final = 5
"""At most this many broadcasters are named in a refusal."""

_SCOPE: Final = Refusal(ProblemCode.FORBIDDEN, "This API key does not have the scope for this kind of target.")


POLICY_CODES: Final = (
    *(_MAINTENANCE.code, _INACTIVE.code, _STREAMS.code, _CLIPS.code),
    *(_LOGIN.code, _SCOPE.code, _INVITED.code, BLACKLISTED.code, _UNKNOWN.code),
)
"""The problem codes that `decide` can return, for the API's description."""


def decide(facts: Facts) -> Refusal | None:
    """The first reason to refuse, those that users cannot change first; None when the request is allowed."""
    website = facts.website
    refusal: Refusal | None = None
    if website.maintenance:
        refusal = _MAINTENANCE
    elif not website.active:
        refusal = _INACTIVE
    elif facts.blacklisted:
        refusal = BLACKLISTED
    elif facts.kind in (Kind.CLIP, Kind.FILE) and not website.clips_enabled:
        refusal = _CLIPS
    elif facts.kind in (Kind.STREAM, Kind.VIDEO) and not website.streams_enabled:
        refusal = _STREAMS
    elif facts.key_scopes is not None:
        refusal = None if scope_of(facts.kind) in facts.key_scopes else _SCOPE
    elif website.access_mode is not AccessMode.OPEN and not facts.signed_in:
        refusal = _LOGIN
    elif website.access_mode is AccessMode.SUBSCRIBERS and not facts.entitled:
        refusal = _subscription(facts)
    return refusal


def _subscription(facts: Facts) -> Refusal | None:
    if facts.subscription is Subscription.YES:
        return None
    if facts.subscription is Subscription.UNKNOWN:
        return _UNKNOWN
    if not facts.broadcasters:
        return _INVITED
    named, more = facts.broadcasters[:_MAX_NAMED], len(facts.broadcasters) - _MAX_NAMED
    names = ", ".join(named) + (f" or {more} more" if more > 0 else "")
    if facts.subscription is Subscription.SCOPE_MISSING:
        detail = (
            f"This server is for subscribers of {names}. Sign in again and allow us to check your subscription."
        )
    else:
        detail = f"This server is for subscribers of {names}, or people with an access code."
    return Refusal(ProblemCode.SUBSCRIPTION_REQUIRED, detail)
