"""Text as users paste it: invisible characters, escapes, and what chats, documents and sentences wrap around an
address.
"""

import re
from typing import Final

from fingerprint.domain.problems import invalid_input

MAX_TEXT: Final = 2_000
"""The longest text of a target, in characters; real addresses are far shorter."""

SPACES: Final = re.compile(r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_INVISIBLE: Final = re.compile(
    r"[\x02\x0f\x11\x16\x1d-\x1f\xad\u034f\u061c\u115f\u1160\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]|\x03(?:[0-9]{1,2}(?:,[0-9]{1,2})?)?|\x1b\[[0-9;]{0,20}m"
)
"""Characters without a width, and colors of IRC and terminals, which copying from chats and pages brings along."""

_BLANKS: Final = re.compile(r"[\u2800\u3164]")
"""Letters that look like spaces."""

_ESCAPES: Final = re.compile(
    r"\\([_/])|\\u00(2f|26|3d)|&(?:#x(2f)|#(47|34|39)|(quot|lt|gt|apos|nbsp));", re.ASCII | re.IGNORECASE
)
"""How Markdown writes `_`, JSON `/`, `&` and `=`, and pages `/`, quotes and brackets."""

# fmt: off
_ESCAPED: Final = {
    "2f": "/", "47": "/", "26": "&", "3d": "=", "quot": '"', "34": '"', "lt": "<", "gt": ">", "apos": "'",
    "39": "'", "nbsp": " ",
}
# fmt: on

_WIDE_LETTER: Final = re.compile(r"[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]")
_LETTER: Final = re.compile(r"[A-Za-z0-9]")
_WIDE: Final = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}
"""ASCII as wide as Chinese and Japanese signs."""

_WIDE_SIGNS: Final = re.compile(r"(https?)[:\uff1a][/\uff0f]{2}|(twitch\.tv)\uff0f", re.IGNORECASE)

# How chats and documents wrap an address, and what follows it in a sentence. No address of Twitch ends so.
_OPENING: Final = "<([{\"'`*|~" + "\u2018\u201c\u201e\u00ab\u300c\u300e\u3010\u3008\u300a\uff08"
_CLOSING: Final = (
    ">)]}\"'`*|~.,;:!?\\"
    "\u2026\u2019\u201c\u201d\u00bb\u300d\u300f\u3011\u3009\u300b\uff09\u3002\u3001\uff0c\uff01\uff1f"
)
_MARKDOWN: Final = re.compile(r"\[[^\[\]]*\]\(([^\s()]+)(?:\s+\"[^\"]*\")?\)")
_LABELED: Final = re.compile(r"<([^\s<>|]+)\|[^<>]*>")
_WRAPPED: Final = re.compile(
    r"[^/:?]*(?:[<>(\[\]{\"'`*|~_=!]|[^\x00-\x7f]|[A-Za-z]:)|[\"{]{0,2}[A-Za-z_]{1,20}\":\""
)
"""What may come right before `https://`: a sign that wraps or quotes, a label such as `live:`, or a writing that
puts no spaces between words."""

_ENDS: Final = re.compile(r'[<>"\[\]]')
_MARKS: Final = re.compile(r"[_*~|]*_[_*~|]*(?=https?:/|(?:[a-z0-9-]+\.)*twitch\.tv)", re.ASCII | re.IGNORECASE)
"""Signs of chats for italic, bold, struck out and hidden text before an address. The same ones end it in reverse:
an underscore alone may be the last sign of a name."""

_FOREIGN: Final = re.compile(
    r"(?<=[A-Za-z0-9_-])[\u2010-\u2bff\u3000-\u9fff\uac00-\ud7a3\uff00-\uff0f\uff1a-\uff20\uff5b-\uff9f\U0001f000-\U0001faff].*"
)
"""Punctuation, pictures and writings without spaces: no address of Twitch has them, so they are what follows one.
What looks like a letter of a name is not among them."""

_POSSESSIVE: Final = re.compile(r"['\u2019]s$")
_BROKEN_MOMENT: Final = re.compile(
    r"([?&#;]t(?:ime)?=[0-9hm]{0,12}[hm])[ +]+(?=[0-9]{1,7}(?:\.[0-9]{1,6})?[ms])", re.ASCII | re.IGNORECASE
)
"""A moment with spaces between its parts, which would otherwise be the end of the address."""


def cleaned(text: str) -> str:
    """The text without what copying adds: invisible characters, escapes, wide letters. Raises `invalid-input`."""
    text = _ESCAPES.sub(_unescaped, _BLANKS.sub(" ", _INVISIBLE.sub("", text)))
    if _WIDE_LETTER.search(text) and not _LETTER.search(text):
        text = text.translate(_WIDE)
    text = _WIDE_SIGNS.sub(lambda found: f"{found[1]}://" if found[1] else f"{found[2]}/", text).strip()
    if not text:
        raise invalid_input("Nothing was entered. Enter a channel name, a clip, a video or a Twitch address.")
    if len(text) > MAX_TEXT:
        raise invalid_input(f"This is too long: a target has at most {MAX_TEXT} characters.")
    return text


def _unescaped(found: re.Match[str]) -> str:
    what = next(group for group in found.groups() if group is not None)
    return _ESCAPED.get(what.lower(), what)


def shown(text: str) -> str:
    """The text as shown in an error message: shortened, and with unusual characters escaped."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def words_of(text: str) -> list[str]:
    """The words of a text, without what is wrapped around them; `[text](address)` and `<address|text>` are one."""
    text = _LABELED.sub(r" \1 ", _MARKDOWN.sub(r" \1 ", text))
    for _ in range(2):  # hours and minutes, minutes and seconds
        text = _BROKEN_MOMENT.sub(r"\1", text)
    return [word for word in map(_unwrapped, SPACES.split(text)) if word] or [text]


def _unwrapped(word: str) -> str:
    opening = ""
    if marks := _MARKS.match(word):
        opening, word = marks[0], word[marks.end() :]
    scheme = re.search(r"https?:/", word, re.ASCII | re.IGNORECASE)
    if scheme and scheme.start() and _WRAPPED.fullmatch(before := word[: scheme.start()]):
        # Of `href="https://..."` the address ends before the next such sign.
        word = _ENDS.split(word[scheme.start() :])[0]
        opening += before[len(before.rstrip("_*~|")) :]
    word = _FOREIGN.sub("", word).lstrip(_OPENING)
    if "_" in opening:
        word = word.rstrip(_CLOSING.translate({ord(sign): None for sign in "_*~|"}))
        word = word.removesuffix(opening[::-1])
    return _POSSESSIVE.sub("", word.rstrip(_CLOSING))
