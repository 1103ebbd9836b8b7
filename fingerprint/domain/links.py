"""The services that songs are linked to: https links are built from ids, and ids are read from links.

Links are only built here, from ids of a known form, and lead to known hosts only: malformed text from a provider
or a hostile address in a file's tags never becomes a link. A new service is a field of `ExternalIds` and a row of
`SERVICES`; the API, the pages, sidecars, tags and the look-up of links take it from there.
"""

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.domain.web_addresses import read_address

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NUMBER: Final = re.compile(r"[0-9]{1,20}")
_LINK_LIMIT: Final = 1000
_UNESCAPED: Final = "!*'()"
"""What `encodeURIComponent` leaves as it is, besides letters, digits and `_.-~`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SongAddress:
    """A form of web address that holds the id of one song, as a group of its path or as a query parameter."""

    hosts: frozenset[str]
    path: re.Pattern[str]
    parameter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalService:
    """A service that songs are linked to.

    `name` is its name in the API's `links` and in sidecars, `label` is for people. `id_field` is the field of
    `ExternalIds` with a song's id, `song_id` the pattern of such an id. `link` comes before the id in the
    address of a song, `moment` before the seconds into it, if it can begin there; a link takes any `linked_id`.
    `search` comes before the words of a search (extension/lib/answer.js has the same).
    `media`: the look-up that tells by an id where the cover and a preview are; the better service comes first.
    `addresses` and `uri` are what ids are read from. `tags` are the tags of music files that hold an id, in lower
    case with `_` between words. `odesli` are the platforms of Odesli that are this service, the best first.
    """

    name: str
    label: str
    id_field: str
    song_id: re.Pattern[str]
    link: str
    search: str
    moment: str | None = None
    linked_id: re.Pattern[str] = _ID
    addresses: tuple[SongAddress, ...]
    uri: re.Pattern[str] | None = None
    tags: frozenset[str]
    odesli: tuple[str, ...]
    media: str = ""

    def song_link(self, song: Song) -> str | None:
        """The web address of a song, or None when its id is unknown or malformed."""
        identifier: str | None = getattr(song.ids, self.id_field)
        if not identifier or not self.linked_id.fullmatch(identifier):
            return None
        seconds = int(song.offset_seconds or 0)
        return self.link + identifier + (f"{self.moment}{seconds}" if self.moment and seconds > 0 else "")

    def external_ids(self, song_id: str) -> ExternalIds:
        """External ids that hold this service's id only."""
        only: dict[str, Any] = {self.id_field: song_id}
        return ExternalIds(**only)


_APPLE_HOSTS: Final = frozenset({"music.apple.com", "itunes.apple.com", "geo.music.apple.com"})

SERVICES: Final = (
    ExternalService(
        name="spotify",
        label="Spotify",
        id_field="spotify_track",
        song_id=re.compile(r"[A-Za-z0-9]{22}"),
        link="https://open.spotify.com/track/",
        search="https://open.spotify.com/search/",
        addresses=(
            SongAddress(
                hosts=frozenset({"open.spotify.com"}),
                path=re.compile(r"(?:/intl-[a-z]{2}(?:-[a-z]{2})?)?/track/([A-Za-z0-9]{22})/?"),
            ),
        ),
        uri=re.compile(r"spotify:track:([A-Za-z0-9]{22})"),
        tags=frozenset({"spotify", "spotify_id", "spotify_track", "spotify_track_id"}),
        odesli=("spotify",),
    ),
    ExternalService(
        name="youtube",
        label="YouTube",
        id_field="youtube",
        song_id=re.compile(r"[A-Za-z0-9_-]{11}"),
        link="https://www.youtube.com/watch?v=",
        search="https://www.youtube.com/results?search_query=",
        moment="&t=",
        addresses=(
            SongAddress(
                hosts=frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "music.youtube.com"}),
                path=re.compile(r"/watch/?"),
                parameter="v",
            ),
            SongAddress(
                hosts=frozenset({"youtube.com", "www.youtube.com", "m.youtube.com"}),
                path=re.compile(r"/(?:embed|shorts|live)/([A-Za-z0-9_-]{11})/?"),
            ),
            SongAddress(hosts=frozenset({"youtu.be"}), path=re.compile(r"/([A-Za-z0-9_-]{11})/?")),
        ),
        tags=frozenset({"youtube", "youtube_id"}),
        odesli=("youtube", "youtubeMusic"),
    ),
    ExternalService(
        name="deezer",
        label="Deezer",
        id_field="deezer_track",
        song_id=_NUMBER,
        link="https://www.deezer.com/track/",
        search="https://www.deezer.com/search/",
        addresses=(
            SongAddress(
                hosts=frozenset({"www.deezer.com", "deezer.com"}),
                path=re.compile(r"(?:/[a-z]{2})?/track/([0-9]{1,20})/?"),
            ),
        ),
        tags=frozenset({"deezer", "deezer_id", "deezer_track", "deezer_track_id"}),
        odesli=("deezer",),
        media="deezer",
    ),
    ExternalService(
        name="apple_music",
        label="Apple Music",
        id_field="apple_music",
        song_id=_NUMBER,
        link="https://music.apple.com/us/song/",
        search="https://music.apple.com/us/search?term=",
        linked_id=_NUMBER,
        addresses=(
            SongAddress(hosts=_APPLE_HOSTS, path=re.compile(r"(?:/[a-z]{2})?/song/(?:[^/]+/)?([0-9]{1,20})/?")),
            SongAddress(hosts=_APPLE_HOSTS, path=re.compile(r"(?:/[a-z]{2})?/album/.+"), parameter="i"),
        ),
        tags=frozenset({"apple_music", "apple_music_id", "itunes_id", "itunescatalogid"}),
        odesli=("appleMusic", "itunes"),
        media="apple",
    ),
)


def links_of(song: Song) -> dict[str, str | None]:
    """A link or None for each service, by its name. YouTube's starts at the second where the song was heard."""
    return {service.name: service.song_link(song) for service in SERVICES}


def search_links_of(song: Song) -> dict[str, str]:
    """A link to the search for a song at each service that it has no link to, by the service's name."""
    words = quote(f"{', '.join(song.artists)} {song.title}".strip(), safe=_UNESCAPED, errors="replace")
    return {service.name: service.search + words for service in SERVICES if service.song_link(song) is None}


def ids_of_link(text: str) -> ExternalIds | None:
    """The id in a link to one song at one of the services, or None for any other text."""
    text = text.strip()
    if len(text) > _LINK_LIMIT:
        return None
    for service in SERVICES:
        uri = service.uri.fullmatch(text) if service.uri else None
        if uri:
            return service.external_ids(uri[1])
    try:
        url = read_address(text)
    except ValueError:
        return None
    if url.scheme not in ("https", "http"):
        return None
    for service in SERVICES:
        for address in service.addresses:
            found = address.path.fullmatch(url.path) if url.host in address.hosts else None
            if found is None:
                continue
            song_id = found[1] if address.parameter is None else url.query.get(address.parameter, "")
            if address.parameter is None or service.song_id.fullmatch(song_id):
                return service.external_ids(song_id)
    return None


def ids_of_tag(name: str, text: str) -> ExternalIds | None:
    """The song id in the value of a file's tag or a sidecar's column: a link to a service, or a bare id."""
    linked = ids_of_link(text)
    if linked is not None:
        return linked
    tag, bare = re.sub(r"[\s:-]+", "_", name.strip().lower()), text.strip()
    for service in SERVICES:
        if tag in service.tags and service.song_id.fullmatch(bare):
            return service.external_ids(bare)
    return None
