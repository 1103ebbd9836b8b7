"""The one rule for names of artists and titles, and for which release of a recording is shown.

Providers, tags and sidecars write several artists as one text, put guests into titles, and list a recording once
for each release. Everything that reads such texts uses this module. `tests/unit/domain/test_credits.py` is the
table of cases.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

MAX_NAMES: Final = 50
"""The most artists that are read from one text."""

TEXT_LIMIT: Final = 500
"""The most characters of a text that are read: those that are kept of an answer."""

NAMES_WITH_SIGNS: Final = (
    "+/-",
    "AC/DC",
    "Axwell /\\ Ingrosso",
    "Booker T. & the M.G.'s",
    "Chloe x Halle",
    "Dave Dee, Dozy, Beaky, Mick & Tich",
    "De/Vision",
    "Either/Orchestra",
    "GZA/Genius",
    "Little Feat",
    "Love/Hate",
    "M/A/R/R/S",
    "Nick Cave & The Bad Seeds",
    "Florence & The Machine",
    "The Good, the Bad & the Queen",
    "Tomorrow x Together",
    "Tyler, The Creator",
    "You, Me, and Everyone We Know",
)
"""Names whose signs the rules below would read as separators."""


# --- Artists ------------------------------------------------------------------------------------------

_FIRST_PLACEHOLDER: Final = 0xE000
_PLACEHOLDER: Final = re.compile("[\ue000-\ue0ff]")
_KNOWN: Final = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, NAMES_WITH_SIGNS)) + r")(?!\w)", re.IGNORECASE)
_GUEST: Final = r"(?:(?i:feat|ft)\.\s*|(?i:feat|ft|featuring)\s+|(?i:w)/\s*)"
_SEPARATOR: Final = re.compile(
    rf"\s*[;\0\xd7]\s*|\s+(?:/|\||x|(?i:vs\.?|versus))\s+|(?:\s*,)?\s*(?:\s|[(\[])\s*{_GUEST}|^(?i:feat\.|featuring\s)\s*"
)
_COMMA: Final = re.compile(
    r"\s*,\s+(?!(?:jr|sr|ii|iii|inc|ltd)\b)(?:(?:&|and)\s+)?|\s+(?:&|and)\s+", re.IGNORECASE
)
_PERFORMS: Final = (
    r"(?:main|primary|featured|lead|guest)?\s*(?:artist|performer|vocals?|vocalist|singer|rapper)|remixer"
)
_WRITES: Final = (
    r"composer|composed by|lyricist|lyrics|song\s?writer|writer|author|producer|produced by|prod\.?|arranger"
    r"|engineer|mixer|mixing|mastering|publisher"
)
_ROLE_BEHIND: Final = re.compile(
    rf"\s*[(\[](?:(?P<performs>{_PERFORMS})|(?P<writes>{_WRITES}))s?[)\]]$", re.IGNORECASE
)
_ROLE_BEFORE: Final = re.compile(rf"^(?:(?P<performs>{_PERFORMS})|(?P<writes>{_WRITES}))s?\s*:\s*", re.IGNORECASE)
_PRODUCED: Final = re.compile(r"\s*[(\[]?\s*(?:(?<=\s)|(?<=[(\[]))prod(?:\.|uced)?\s*by\s.*$", re.IGNORECASE)


def artist_names(*texts: str) -> tuple[str, ...]:
    """The artists in texts that may each name several, in order and each once.

    Separators: `;`, NUL, a slash (unless it joins two short words in capitals, as in AC/DC), ` | `, ` x `, `vs.`,
    and guests' `feat.`, `ft.`, `featuring`, `w/`. Commas separate three names or more, or two of several words
    each; the last may follow `&`. Alone, `&`, `+` and `and` are part of a name, and so are the commas of a list of
    single words, such as `Crosby, Stills & Nash`. Roles in brackets or before a colon are dropped, and with them
    the names of composers, producers and the like, unless there is no other name.
    """
    performing: dict[str, str] = {}
    writing: dict[str, str] = {}
    for text in texts:
        for name in _split(_one_line(text))[:MAX_NAMES]:
            plain, performs = _without_role(name)
            if plain:
                (performing if performs else writing).setdefault(plain.casefold(), plain)
    return tuple((performing or writing).values())[:MAX_NAMES]


def is_performing(role: str) -> bool:
    """Whether a role in a service's list, such as `MainArtist` or `Composer`, is one that an answer names."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[_-]", " ", role).strip()
    return re.fullmatch(rf"(?:{_WRITES})s?", words, re.IGNORECASE) is None


def _split(text: str) -> list[str]:
    """The names in a text, still with their roles."""
    masked = _PLACEHOLDER.sub("", text)
    known: list[str] = []

    def mask(found: re.Match[str]) -> str:
        if len(known) == 0x100:
            return found[0]
        known.append(found[0])
        return chr(_FIRST_PLACEHOLDER + len(known) - 1)

    masked = _PRODUCED.sub("", _KNOWN.sub(mask, masked)) or masked
    names = (name for part in _SEPARATOR.split(masked) for name in _split_slashes(part))
    names = (name for part in names for name in _split_commas(_closed(part)))
    restored = (
        _PLACEHOLDER.sub(lambda found: known[ord(found[0]) - _FIRST_PLACEHOLDER], _closed(name)) for name in names
    )
    spoken = [name for name in restored if any(sign.isalnum() for sign in name) or name in NAMES_WITH_SIGNS]
    return spoken or [text] * bool(text)


def _split_slashes(text: str) -> list[str]:
    """The names between slashes without spaces; a slash between short words in capitals or digits is a name's."""
    parts = [part.strip() for part in text.split("/")]
    if len(parts) < 2 or not all(parts) or any(part.isdigit() for part in parts):
        return [text]
    return [text] if len(parts) == 2 and all(len(part) <= 3 and part.isupper() for part in parts) else parts


def _split_commas(text: str) -> list[str]:
    if "(" in text or "[" in text:
        return [text]
    parts = _COMMA.split(text) if ", " in text or _PLACEHOLDER.search(text) else [text]
    if len(parts) < 2:
        return [text]
    if _PLACEHOLDER.search(text):
        return parts
    several = [" " in part for part in parts]
    if len(parts) == 2:
        return parts if all(several) else [text]
    # Surnames and things, as in "Earth, Wind & Fire", are one name.
    single_words = not any(several) and all(len(part) > 2 for part in parts)
    return [text] if single_words and re.search(r"\s(?:&|(?i:and))\s", text) else parts


def _closed(name: str) -> str:
    """The name without a bracket that was opened before it, and without commas around it."""
    for opening, closing in ("()", "[]"):
        if name.endswith(closing) and opening not in name and name.count(closing) == 1:
            name = name[:-1]
    return name.strip(" ,")


def _without_role(name: str) -> tuple[str, bool]:
    """The name alone, and whether it performs."""
    for pattern in (_ROLE_BEHIND, _ROLE_BEFORE):
        found = pattern.search(name)
        if found:
            return pattern.sub("", name).strip(), found["writes"] is None
    return name, True


# --- Titles -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Credits:
    """A song's title, and its artists in order."""

    title: str
    artists: tuple[str, ...]


_IN_BRACKETS: Final = r"([^()\[\]]*(?:[(\[][^()\[\]]*[)\]][^()\[\]]*)?)"
_GUEST_IN_TITLE: Final = re.compile(
    rf"\s*[(\[]\s*{_GUEST}{_IN_BRACKETS}[)\]]"
    r"|(?<!\d)\s+(?:[-\u2013\u2014]\s*)?(?:(?i:feat|ft)\.\s*|featuring\s+|(?:feat|ft)\s+(?=[^\Wa-z]))([^\s(\[].*?)(?=\s*[(\[]|\s+[-\u2013\u2014]\s|$)"
)
_WITH_IN_TITLE: Final = re.compile(rf"\s*[(\[]\s*(?i:with)\s+{_IN_BRACKETS}[)\]]")


def credits_of(title: str, artists: Iterable[str]) -> Credits:
    """The title without its guests, and the artists with them: `Song (feat. B)` by A is `Song` by A and B.

    `(with B)` counts only when B is among the artists, since titles have words like these. `artists`: names, or
    texts that `artist_names` splits.
    """
    named = artist_names(*artists)
    guests: list[str] = []

    def take(found: re.Match[str]) -> str:
        guests.append(found[1] or found[2] or "")
        return ""

    title = _one_line(title)
    plain = _GUEST_IN_TITLE.sub(take, title).strip()
    if named:
        known = artist_keys(named)
        plain = _WITH_IN_TITLE.sub(
            lambda found: "" if known.issuperset(map(_key, artist_names(found[1]))) else found[0], plain
        ).strip()
    return Credits(plain or title, artist_names(*named, *guests) if plain else named)


# --- Sameness -----------------------------------------------------------------------------------------

_VERSION: Final = re.compile(
    r"\s+[-\u2013\u2014]\s+(?:\d{4}\s+)?(?:re-?master(?:ed)?|single|album|radio|original|mono|stereo|bonus|deluxe|live)\b.*$",
    re.IGNORECASE,
)
_IN_BRACKETS_OR_BEHIND_DASH: Final = re.compile(r"[(\[][^()\[\]]*|\s[-\u2013\u2014]\s.*$")
_ORIGINAL_MIX: Final = re.compile(r"\boriginal mix\b", re.IGNORECASE)
_OTHER_VERSION: Final = re.compile(
    r"\b(?:re-?mix(?:ed)?|mix|mixed|live|acoustic|instrumental|karaoke|demo|cover|dub|bootleg|re-?work|vip|unplugged|session"
    r"|orchestral|a ?cappella|sped|slowed|nightcore|reprise|re-?recorded|mash-?up|flip)\b",
    re.IGNORECASE,
)
_ANY_SEPARATOR: Final = re.compile(rf"{_SEPARATOR.pattern}|\s*[,/&+]\s*|\s+(?i:and|with|y|e|et|und)\s+")


def title_key(title: str) -> str:
    """A title for comparison: without case, accents, punctuation, guests, brackets and versions such as
    `- Remastered 2011`.
    """
    plain = _VERSION.sub("", _GUEST_IN_TITLE.sub("", _one_line(title)))
    head = re.split(r"[(\[]", plain, maxsplit=1)[0].strip()
    return _key(head or plain) or _key(title) or title.casefold()


def version_key(title: str) -> str:
    """What a title says of its version, such as a remix or a live one, for comparison; empty for the usual one.

    Radio edits, remasters and album versions are the usual one.
    """
    said = " ".join(_IN_BRACKETS_OR_BEHIND_DASH.findall(_GUEST_IN_TITLE.sub("", _one_line(title))))
    return _key(said) if _OTHER_VERSION.search(_ORIGINAL_MIX.sub("", said)) else ""


def artist_keys(artists: Iterable[str]) -> frozenset[str]:
    """The artists for comparison, each name whole and each part of it that could be a name alone."""
    names = [part for name in map(_one_line, artists) for part in (name, *_ANY_SEPARATOR.split(name))]
    return frozenset(key for name in names if (key := _key(name))) or frozenset(map(str.casefold, names))


def _one_line(text: str) -> str:
    """The text with single blanks, and cut: patterns that meet long runs of blanks would take forever."""
    return " ".join(text[: 4 * TEXT_LIMIT].split())[:TEXT_LIMIT].rstrip()


def _key(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).casefold()
    return "".join(sign for sign in letters if sign.isalnum())


# --- Releases -----------------------------------------------------------------------------------------


class ReleaseKind(IntEnum):
    """What a release is; the lesser is shown."""

    ALBUM = 0
    SINGLE = 1
    """A single or an EP."""
    OTHER = 2
    """A soundtrack, or a live release."""
    UNKNOWN = 3
    COMPILATION = 4
    MIX = 5
    """A mix in which other music overlaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release as a service tells of it. `kind` and `status` are its own words: `compilation`, `bootleg`."""

    title: str
    album: str | None
    date: str | None = None
    album_artists: tuple[str, ...] = ()
    kind: str | None = None
    status: str | None = None


Order = tuple[bool, ReleaseKind, str, bool]

_UNDATED: Final = "9999"
_YEARS_UNTIL_ALBUM: Final = 2
_DATE: Final = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?")
_PLACEHOLDER_DATES: Final = ("0000", "0001", "1900-01-01", "1970-01-01")
_KINDS: Final = {
    "album": ReleaseKind.ALBUM,
    "single": ReleaseKind.SINGLE,
    "ep": ReleaseKind.SINGLE,
    "live": ReleaseKind.OTHER,
    "soundtrack": ReleaseKind.OTHER,
    "compilation": ReleaseKind.COMPILATION,
    "compile": ReleaseKind.COMPILATION,
    "dj-mix": ReleaseKind.MIX,
    "mix": ReleaseKind.MIX,
}


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_UNOFFICIAL: Final = _words("bootleg", "promo", "pseudo", "withdrawn", "unofficial")
_IMITATION: Final = _words(
    r"\bkaraoke\b", r"\btribute\b", "in the style of", "originally performed", "made famous by", r"\bsing.?along\b"
)
_MIX: Final = _words(
    r"\bdj[ -]?mix\b",
    r"\b(?:continuous|non-?stop) mix",
    r"\bmixed by\b",
    r"[(\[]mixed\b",
    r"\bmegamix\b",
    r"\bdj set\b",
    r"\bin the mix\b",
)
_COMPILATION: Final = _words(
    r"\bgreatest\b",
    r"\bbest (?:of|songs)\b",
    r"\bthe (?:very )?best\b",
    r"\bhits\b",
    r"\b(?:anthology|collection|compilation|essentials|sampler|playlist|anthems|charts?)\b",
    r"\bthe (?:essential|singles)\b",
    "now that'?s what i call",
    r"^now!? ?\d+\b",
    r"\btop \d+\b",
    r"\b\d+ (?:hits|songs|tracks|greatest|best|original|classic)",
    r"\bvarious artists\b",
    r"\b(?:19|20)?[5-9]0'?s\b",
    r"\b(?:summer|winter|party|club|workout|running|christmas|road trip)\b.*\b(?:19|20)\d\d\b",
    "ministry of sound",
    "caf[e\\xe9] del mar",
)
_OTHER: Final = _words(
    r"\bsoundtrack\b",
    "motion picture",
    r"\bost\b",
    r"\bmusic from\b",
    r"\bunplugged\b",
    r"[(\[]live\b",
    r"\blive (?:at|from|in)\b",
)
_SINGLE: Final = _words(r"[-\u2013(\[]\s*(?:single|ep)\b", r"\bep$", r"\bremixes\b")
_BY_NAME: Final = (
    (ReleaseKind.MIX, _MIX),
    (ReleaseKind.COMPILATION, _COMPILATION),
    (ReleaseKind.OTHER, _OTHER),
    (ReleaseKind.SINGLE, _SINGLE),
)
_EDITION: Final = _words(
    r"\b(?:deluxe|expanded|anniversary|edition|bonus|reissue|complete|box set)\b", r"\bre-?master"
)
_VARIOUS: Final = _words(r"^various(?: artists)?$", r"^v\.? ?a\.?$", r"^verschiedene")


def release_orders(releases: Sequence[Release]) -> list[Order]:
    """A key for each release of one recording; the least is the one to show.

    Official recordings come before imitations and bootlegs, then albums before singles, soundtracks, compilations
    and mixes, then the earliest release, then the plain edition before deluxe and remastered ones.
    """
    releases = [
        replace(each, title=_one_line(each.title), album=None if each.album is None else _one_line(each.album))
        for each in releases
    ]
    kinds = [_kind(release) for release in releases]
    albums = [_date(release) for release, kind in zip(releases, kinds, strict=True) if kind is ReleaseKind.ALBUM]
    orders: list[Order] = []
    for release, kind in zip(releases, kinds, strict=True):
        date, said = _date(release), kind
        if kind is ReleaseKind.ALBUM and _is_named_as_its_song(release):
            # The single before the album, unless no album follows: then the album's title song.
            own = int(date[:4])
            others = [int(other[:4]) for other in albums if other != date]
            said = ReleaseKind.SINGLE if any(abs(year - own) <= _YEARS_UNTIL_ALBUM for year in others) else kind
        said_of = " ".join(filter(None, (release.title, release.album, *release.album_artists)))
        unofficial = release.status is not None and _UNOFFICIAL.search(release.status) is not None
        orders.append(
            (
                unofficial or _IMITATION.search(said_of) is not None,
                said,
                date,
                release.album is not None and _EDITION.search(release.album) is not None,
            )
        )
    return orders


def _kind(release: Release) -> ReleaseKind:
    if any(_VARIOUS.search(name.strip()) for name in release.album_artists):
        return ReleaseKind.COMPILATION
    told = _KINDS.get((release.kind or "").strip().lower(), ReleaseKind.ALBUM)
    if release.album is None:
        return max(told, ReleaseKind.UNKNOWN)
    named = next((kind for kind, words in _BY_NAME if words.search(release.album)), ReleaseKind.ALBUM)
    in_title = ReleaseKind.MIX if _MIX.search(release.title) else ReleaseKind.ALBUM
    return max(told, named, in_title)


def _is_named_as_its_song(release: Release) -> bool:
    return release.album is not None and title_key(release.album) == title_key(release.title)


def _date(release: Release) -> str:
    """The date, its missing parts the latest possible; `_UNDATED` when it is unknown or a placeholder."""
    text = (release.date or "").strip()
    found = _DATE.match(text)
    if found is None or text.startswith(_PLACEHOLDER_DATES):
        return _UNDATED
    return f"{found[1]}-{found[2] or '12'}-{found[3] or '31'}"
