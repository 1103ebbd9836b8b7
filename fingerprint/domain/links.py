"""Where a song can be heard: https links made of ids, and ids read out of links.

Links are always made here, from ids of a known form, and lead to four known hosts only: a provider's odd text or a
hostile address in a file's tags becomes no link.
"""

import re
from dataclasses import dataclass
from typing import Final

from yarl import URL

from fingerprint.domain.identification import ExternalIds, Song

SERVICES: Final = ("spotify", "youtube", "deezer", "apple_music")
"""The services that songs are linked at, by the names of the API's `links`."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NUMBER: Final = re.compile(r"[0-9]{1,20}")
_LINK_LIMIT: Final = 1000

_SPOTIFY: Final = URL("https://open.spotify.com/track/")
_YOUTUBE: Final = URL("https://www.youtube.com/watch")
_DEEZER: Final = URL("https://www.deezer.com/track/")
_APPLE_MUSIC: Final = URL("https://music.apple.com/us/song/")


def links_of(song: Song) -> dict[str, str | None]:
    """A link or None for each service. YouTube's begins where the song was heard."""
    ids = song.ids
    youtube = _plain(ids.youtube)
    moment = int(song.offset_seconds) if song.offset_seconds is not None else 0
    return {
        "spotify": _track(_SPOTIFY, _plain(ids.spotify_track)),
        "youtube": str(_YOUTUBE % ({"v": youtube, "t": moment} if moment > 0 else {"v": youtube}))
        if youtube
        else None,
        "deezer": _track(_DEEZER, _plain(ids.deezer_track)),
        "apple_music": _track(_APPLE_MUSIC, _plain(ids.apple_music, _NUMBER)),
    }


def _plain(identifier: str | None, form: re.Pattern[str] = _ID) -> str | None:
    """The id if it has the form that the services use."""
    return identifier if identifier and form.fullmatch(identifier) else None


def _track(base: URL, identifier: str | None) -> str | None:
    return str(base / identifier) if identifier else None


# --- Ids out of links ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Form:
    """How a service's addresses hold the id of one song."""

    hosts: frozenset[str]
    field: str
    path: re.Pattern[str]
    query: str | None = None  # the parameter that holds the id, beside the path


_FORMS: Final = (
    _Form(
        frozenset({"open.spotify.com"}),
        "spotify_track",
        re.compile(r"(?:/intl-[a-z]{2}(?:-[a-z]{2})?)?/track/([A-Za-z0-9]{22})/?"),
    ),
    _Form(
        frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "music.youtube.com"}),
        "youtube",
        re.compile(r"/watch/?"),
        "v",
    ),
    _Form(
        frozenset({"youtube.com", "www.youtube.com", "m.youtube.com"}),
        "youtube",
        re.compile(r"/(?:embed|shorts|live)/([A-Za-z0-9_-]{11})/?"),
    ),
    _Form(frozenset({"youtu.be"}), "youtube", re.compile(r"/([A-Za-z0-9_-]{11})/?")),
    _Form(
        frozenset({"www.deezer.com", "deezer.com"}),
        "deezer_track",
        re.compile(r"(?:/[a-z]{2})?/track/([0-9]{1,20})/?"),
    ),
    _Form(
        frozenset({"music.apple.com", "itunes.apple.com", "geo.music.apple.com"}),
        "apple_music",
        re.compile(r"(?:/[a-z]{2})?/song/(?:[^/]+/)?([0-9]{1,20})/?"),
    ),
    _Form(
        frozenset({"music.apple.com", "itunes.apple.com", "geo.music.apple.com"}),
        "apple_music",
        re.compile(r"(?:/[a-z]{2})?/album/.+"),
        "i",
    ),
)

_OF_PARAMETER: Final = {"v": re.compile(r"[A-Za-z0-9_-]{11}"), "i": _NUMBER}
_SPOTIFY_URI: Final = re.compile(r"spotify:track:([A-Za-z0-9]{22})")


def ids_of_link(text: str) -> ExternalIds | None:
    """The id in a link to one song at one of the services; None for any other text."""
    text = text.strip()
    if len(text) > _LINK_LIMIT:
        return None
    uri = _SPOTIFY_URI.fullmatch(text)
    if uri:
        return ExternalIds(spotify_track=uri[1])
    try:
        url = URL(text)
    except ValueError:
        return None
    if url.scheme not in ("https", "http"):
        return None
    for form in _FORMS:
        found = form.path.fullmatch(url.path) if url.host in form.hosts else None
        if found is None:
            continue
        identifier = found[1] if form.query is None else url.query.get(form.query, "")
        if form.query is None or _OF_PARAMETER[form.query].fullmatch(identifier):
            return ExternalIds(**{form.field: identifier})  # pyright: ignore[reportArgumentType] - text fields only
    return None
