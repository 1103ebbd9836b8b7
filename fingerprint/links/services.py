"""The public look-up services, without I/O: request addresses for a song, and the ids in the answers.

None of them needs a key. Deezer knows songs by ISRC, and by artist and title; MusicBrainz by ISRC; Odesli takes an
id at one service and returns those at others. Deezer and Apple tell by a song's id where its cover and a sample of
its sound are.
"""

import re
from dataclasses import dataclass
from typing import Final

from yarl import URL

from fingerprint.domain import songs
from fingerprint.domain.credits import artist_keys, title_key
from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.domain.links import SERVICES, ids_of_link
from fingerprint.domain.web_addresses import read_address
from fingerprint.media.fetch import Fetched
from fingerprint.providers.errors import FailureKind, ProviderError, transient
from fingerprint.providers.reading import Object, first, integer, objects, parse_object, text, texts

DEEZER: Final = "Deezer"
MUSICBRAINZ: Final = "MusicBrainz"
ODESLI: Final = "Odesli"
APPLE: Final = "Apple"

_NO_DATA: Final = 800
_RATE: Final = 4


def plain_isrc(song: Song) -> str | None:
    """The song's ISRC, or None when it is missing or malformed."""
    return songs.plain_isrc(song.isrc)


def body_of(service: str, answer: Fetched) -> Object | None:
    """The answer's JSON object, or None when the service does not know the song. Raises ProviderError."""
    if answer.status == 404:
        return None
    if answer.status in (429, 503):
        raise ProviderError(service, FailureKind.RATE, f"{service} is asked too much.", retry_after_seconds=30.0)
    body = parse_object(answer.body)
    if answer.status != 200 or body is None:
        raise transient(service, f"{service} answers with the status {answer.status}, or not with JSON.")
    return body


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackMedia:
    """Where a service has the cover of a track and a sample of its sound; None for what it does not have."""

    cover: URL | None = None
    preview: URL | None = None


def _address(value: str | None) -> URL | None:
    """A web address in an answer; None for any other text."""
    try:
        # As it is written: a signature may cover signs that would be quoted in another way.
        address = read_address(value or "", encoded=True)
        usable = address.scheme in ("https", "http") and bool(address.host)
    except ValueError:
        return None
    return address if usable else None


# --- Deezer -------------------------------------------------------------------------------------------


def deezer_by_isrc(base: URL, isrc: str) -> URL:
    """The address of the track with an ISRC."""
    return base / "track" / f"isrc:{isrc}"


def deezer_search(base: URL, song: Song) -> URL:
    """The address of a search for tracks with the song's title by its first artist."""

    def quoted(value: str) -> str:
        return value[:100].replace('"', " ")

    query = f'artist:"{quoted(song.artists[0])}" track:"{quoted(song.title)}"'
    return (base / "search" / "track").with_query(q=query, limit="5")


def deezer_track(answer: Fetched) -> ExternalIds | None:
    """The ids of a single track, or None. Deezer answers an unknown track with status 200 and an error."""
    body = body_of(DEEZER, answer)
    return None if body is None or _deezer_error(body) else _deezer_ids(body)


def deezer_found(answer: Fetched, song: Song) -> ExternalIds | None:
    """The ids of the first search result with the song's title and artist."""
    body = body_of(DEEZER, answer)
    if body is None or _deezer_error(body):
        return None
    artists, name = artist_keys(song.artists), title_key(song.title)
    for track in objects(body.get("data")):
        title, artist = text(track.get("title")), text(first(track, "artist").get("name"))
        if title and artist and title_key(title) == name and artist_keys([artist]) & artists:
            return _deezer_ids(track)
    return None


def _deezer_error(body: Object) -> bool:
    """Whether the answer is Deezer's error for an unknown track. Raises ProviderError for any other error."""
    error = first(body, "error")
    if not error:
        return False
    code = integer(error.get("code"))
    if code == _RATE:
        raise ProviderError(DEEZER, FailureKind.RATE, f"{DEEZER} is asked too much.", retry_after_seconds=5.0)
    if code == _NO_DATA:
        return True
    raise transient(DEEZER, f"{DEEZER} answers with the error {code}.", provider_code=code)


def _deezer_ids(track: Object) -> ExternalIds | None:
    identifier = text(track.get("id"))
    if identifier is None or not identifier.isdecimal():
        return None
    artist = text(first(track, "artist").get("id"))
    contributors = texts(track.get("contributors"), "id")
    return ExternalIds(
        deezer_track=identifier,
        deezer_album=text(first(track, "album").get("id")),
        deezer_artists=contributors or ((artist,) if artist else ()),
    )


def deezer_by_id(base: URL, identifier: str) -> URL:
    """The address of the track with Deezer's id."""
    return base / "track" / identifier


def deezer_media(answer: Fetched) -> TrackMedia | None:
    """Where a track's cover and preview are; None for an unknown track. The preview's address expires."""
    body = body_of(DEEZER, answer)
    if body is None or _deezer_error(body):
        return None
    cover = text(first(body, "album").get("cover_xl"))
    # An album without a picture has an address without the picture's name.
    return TrackMedia(
        cover=None if cover is None or "/cover//" in cover else _address(cover),
        preview=_address(text(body.get("preview"))),
    )


# --- Apple --------------------------------------------------------------------------------------------

_APPLE_EDGE: Final = 640
_APPLE_SIZE: Final = re.compile(r"/[0-9]{1,4}x[0-9]{1,4}(bb|cc|sr)?(?:-[0-9]{1,3})?\.(jpg|png|webp)$")


def apple_by_id(base: URL, identifier: str) -> URL:
    """The address of the song with Apple's id, in the store that links lead to."""
    return (base / "lookup").with_query(id=identifier, entity="song", country="US")


def apple_media(answer: Fetched, identifier: str) -> TrackMedia | None:
    """Where a song's cover and preview are; None for an unknown song."""
    body = body_of(APPLE, answer)
    if body is None:
        return None
    for song in objects(body.get("results")):
        if text(song.get("trackId")) == identifier:
            cover = text(song.get("artworkUrl100")) or ""
            # The last part of the address is the size that the picture is made in.
            larger = _APPLE_SIZE.sub(rf"/{_APPLE_EDGE}x{_APPLE_EDGE}\1.\2", cover)
            return TrackMedia(cover=_address(larger), preview=_address(text(song.get("previewUrl"))))
    return None


# --- MusicBrainz --------------------------------------------------------------------------------------


def musicbrainz_by_isrc(base: URL, isrc: str) -> URL:
    """The address of the recordings with an ISRC, and of their links."""
    return (base / "ws" / "2" / "isrc" / isrc).with_query(inc="artist-credits+url-rels", fmt="json")


def musicbrainz_ids(answer: Fetched) -> ExternalIds | None:
    """The ids in the links of all recordings in the answer."""
    body = body_of(MUSICBRAINZ, answer)
    if body is None:
        return None
    ids = ExternalIds()
    for recording in objects(body.get("recordings")):
        for relation in objects(recording.get("relations")):
            link = text(first(relation, "url").get("resource"))
            ids = ids.filled(ids_of_link(link or "") or ExternalIds())
    return ids if ids != ExternalIds() else None


# --- Odesli -------------------------------------------------------------------------------------------


def odesli_links(base: URL, ids: ExternalIds) -> URL | None:
    """The address of the song's links at other services; None without an id that Odesli accepts."""
    # YouTube is last, since its id may belong to one of several videos of the song.
    for service in sorted(SERVICES, key=lambda service: service.name == "youtube"):
        identifier: str | None = getattr(ids, service.id_field)
        if identifier:
            address = base / "v1-alpha.1" / "links"
            return address.with_query(platform=service.odesli[0], type="song", id=identifier, songIfSingle="true")
    return None


def odesli_ids(answer: Fetched) -> ExternalIds | None:
    """The ids in the answer's links to all platforms."""
    body = body_of(ODESLI, answer)
    if body is None:
        return None
    ids = ExternalIds()
    platforms = first(body, "linksByPlatform")
    for name in (platform for service in SERVICES for platform in service.odesli):
        link = text(first(platforms, name).get("url"))
        ids = ids.filled(ids_of_link(link or "") or ExternalIds())
    return ids if ids != ExternalIds() else None
