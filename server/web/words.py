"""What the pages say about each problem: a heading in plain words, and what to do next."""

from dataclasses import dataclass
from typing import Final

from fingerprint.domain.problems import ProblemCode


@dataclass(frozen=True, slots=True)
class Words:
    """A heading, and the next step for the person who reads it."""

    heading: str
    next_step: str


_LATER: Final = "Try again in a minute."

WORDS: Final[dict[ProblemCode, Words]] = {
    ProblemCode.INVALID_INPUT: Words(
        "That is not something on Twitch",
        "Type a channel's name, or paste the address of a channel, a clip or a video.",
    ),
    ProblemCode.NOT_FOUND: Words(
        "There is nothing here",
        "The address may be mistyped, or the answer too old. Ask again.",
    ),
    ProblemCode.NOT_IDENTIFIED: Words("Nobody has asked about this yet", "Ask now; it takes a moment."),
    ProblemCode.CHANNEL_NOT_FOUND: Words(
        "No such channel on Twitch",
        "Check the spelling: it is the name in the channel's address, not the display name.",
    ),
    ProblemCode.NOT_LIVE: Words(
        "Not live right now",
        "Ask again once the stream has started, or paste the address of a clip or a past broadcast.",
    ),
    ProblemCode.CLIP_NOT_FOUND: Words(
        "No such clip on Twitch",
        "It may have been deleted. Copy its address again from Twitch's share button.",
    ),
    ProblemCode.VIDEO_NOT_FOUND: Words(
        "No such video on Twitch",
        "Past broadcasts disappear after a while. Check the address, or ask about a clip.",
    ),
    ProblemCode.RESTRICTED_STREAM: Words(
        "This broadcast is not open to everyone",
        "It is for subscribers, or blocked where our server stands. A public clip of it may work.",
    ),
    ProblemCode.AD_BREAK: Words(
        "Advertisements are running",
        "The music comes back after the break. Ask again then.",
    ),
    ProblemCode.NO_AUDIO: Words(
        "There was no sound to listen to",
        "The broadcast is silent at the moment. Ask again when you hear music.",
    ),
    ProblemCode.LOGIN_REQUIRED: Words("Sign in first", "Sign in with Twitch, then ask again."),
    ProblemCode.SUBSCRIPTION_REQUIRED: Words(
        "For subscribers only",
        "Subscribe to one of the listed channels, or redeem an access code.",
    ),
    ProblemCode.TOKEN_INVALID: Words("Your sign-in has run out", "Sign in again."),
    ProblemCode.TOKEN_WRONG_CLIENT: Words(
        "This sign-in belongs to another application",
        "Use a token that was made for this service.",
    ),
    ProblemCode.KEY_INVALID: Words("This API key is not valid", "Check it, or ask the operator for a new one."),
    ProblemCode.FORBIDDEN: Words("You may not do this", "Ask the operator if you think that you should."),
    ProblemCode.CSRF: Words("The request did not come from our page", "Reload the page and try again."),
    ProblemCode.BLACKLISTED: Words(
        "The operator has blocked this",
        "Ask about another channel or clip.",
    ),
    ProblemCode.CODE_INVALID: Words("This access code does not work", "Check its spelling, or ask for another."),
    ProblemCode.JOB_IN_PROGRESS: Words(
        "You are already asking about something",
        "Wait for that answer first; it takes a few seconds.",
    ),
    ProblemCode.RATE_LIMITED: Words("That was a lot of questions", "Take a short break, then ask again."),
    ProblemCode.MAINTENANCE: Words("We are doing maintenance", "Come back in a little while."),
    ProblemCode.INACTIVE: Words("The service is switched off", "The operator decides when it is back."),
    ProblemCode.STREAMS_DISABLED: Words("Live streams are switched off", "Clips may still work."),
    ProblemCode.CLIPS_DISABLED: Words("Clips are switched off", "Live streams may still work."),
    ProblemCode.RECOGNIZER_UNAVAILABLE: Words(
        "Nothing here can recognize music right now",
        "The operator can add music, or set up a provider. Try again later.",
    ),
    ProblemCode.UPSTREAM_UNAVAILABLE: Words("Twitch is not answering properly", _LATER),
    ProblemCode.TIMEOUT: Words("That took too long", "Try again; Twitch or our server may have been slow."),
    ProblemCode.BUSY: Words("Too many people are asking at once", "Try again in a few seconds."),
    ProblemCode.INTERNAL: Words("Something broke on our side", "It is logged. Try again."),
}

NO_MATCH: Final = Words(
    "No match this time",
    "Ask again when the music is clearer: loud speech, a remix or a live version can hide a song.",
)

NO_MATCH_RECORDED: Final = Words(
    "No song that we know",
    "Loud speech, a remix or a live version can hide a song. Another clip or moment of the broadcast may help.",
)
"""For clips and videos, which will sound the same tomorrow."""

NETWORK: Final = Words(
    "The server cannot be reached",
    "Check your connection. Your question is not lost: try again.",
)
