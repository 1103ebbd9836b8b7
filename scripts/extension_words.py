"""What the extension says about a problem of the server where the website says it in another way.

The extension has no field to type into and is not the server. The other headings and next steps are those of
`PROBLEM_KINDS`. `python -m scripts.messages` writes both, with their translations, into the extension's messages.
"""

from dataclasses import dataclass
from typing import Final

from fingerprint.domain.problems import PROBLEM_KINDS, ProblemCode

CONTEXT: Final = "extension"
"""The context (`msgctxt`) of these texts in the translations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionWords:
    """A heading and a text in English; an empty one is the website's."""

    heading: str = ""
    text: str = ""


WORDS: Final = {
    ProblemCode.INVALID_INPUT: ExtensionWords(
        heading="This page cannot be identified", text="Open a channel, a clip or a video and try there."
    ),
    ProblemCode.NOT_FOUND: ExtensionWords(
        heading="That answer is gone", text="The server only keeps answers for a while. Try again."
    ),
    ProblemCode.NOT_IDENTIFIED: ExtensionWords(text="Press the button to identify it now."),
    ProblemCode.CHANNEL_NOT_FOUND: ExtensionWords(text="Check the name in the address."),
    ProblemCode.NOT_LIVE: ExtensionWords(text="Try again once the stream has started."),
    ProblemCode.CLIP_NOT_FOUND: ExtensionWords(text="It may have been deleted: try another one."),
    ProblemCode.VIDEO_NOT_FOUND: ExtensionWords(text="Past broadcasts are deleted after a while. Try a clip."),
    ProblemCode.RESTRICTED_STREAM: ExtensionWords(
        text="It is for subscribers only, or not available in the server's country. A public clip of it may work."
    ),
    ProblemCode.MOMENT_GONE: ExtensionWords(
        text="It cannot be heard any more. Ask about what plays now, or about a more recent moment."
    ),
    ProblemCode.AD_BREAK: ExtensionWords(text="Try again when the music is back."),
    ProblemCode.NO_AUDIO: ExtensionWords(text="Try again when you hear music."),
    ProblemCode.LOGIN_REQUIRED: ExtensionWords(
        text="This server requires sign-in. Sign in with Twitch to continue."
    ),
    ProblemCode.SUBSCRIPTION_REQUIRED: ExtensionWords(text="Subscribe, or redeem an access code."),
    ProblemCode.TOKEN_INVALID: ExtensionWords(text="Sign in with Twitch again."),
    ProblemCode.TOKEN_WRONG_CLIENT: ExtensionWords(
        heading="This sign-in belongs to another server", text="Sign in with Twitch again."
    ),
    ProblemCode.KEY_INVALID: ExtensionWords(text="Check it in the options, or ask the operator for a new one."),
    ProblemCode.FORBIDDEN: ExtensionWords(text="Ask the server's operator if you think this is a mistake."),
    ProblemCode.STREAMS_DISABLED: ExtensionWords(text="Try a clip."),
    ProblemCode.CLIPS_DISABLED: ExtensionWords(text="Try a live channel."),
    ProblemCode.RECOGNIZER_UNAVAILABLE: ExtensionWords(
        text="The server's operator can add music or set up a provider; try again later."
    ),
    ProblemCode.TIMEOUT: ExtensionWords(text="Try again; Twitch or the server may have been slow."),
    ProblemCode.INTERNAL: ExtensionWords(
        heading="Something broke on the server", text="The error was logged there. Try again."
    ),
}


def extension_words(code: ProblemCode) -> dict[str, tuple[str | None, str]]:
    """The parts of a message's name with the context and the English text, which are the translation's id."""
    own, kind = WORDS.get(code, ExtensionWords()), PROBLEM_KINDS[code]
    return {
        "heading": (CONTEXT, own.heading) if own.heading else (None, kind.heading),
        "text": (CONTEXT, own.text) if own.text else (None, kind.next_step),
    }
