"""What a song is known by: the id of its page and of `/api/v1/songs/{id}`."""

import hashlib
import json
import re
from functools import lru_cache
from typing import Final

from fingerprint.domain.credits import artist_keys, title_key, version_key
from fingerprint.domain.identification import Song

ID_LIMIT: Final = 64
SONG_ID: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{ID_LIMIT}}}")

_ISRC: Final = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_DIGITS: Final = 24


def plain_isrc(isrc: str | None) -> str | None:
    """An ISRC without hyphens in upper case, or None when it is missing or malformed."""
    plain = (isrc or "").replace("-", "").upper()
    return plain if _ISRC.fullmatch(plain) else None


def song_id(song: Song) -> str:
    """The id of a song, the same in all answers that name it.

    That of its recording in the catalog; of others the ISRC; of those without one, a digest of artists and title,
    in which case, accents and guests do not count.
    """
    if song.catalog is not None and SONG_ID.fullmatch(song.catalog.track_id):
        return song.catalog.track_id
    return plain_isrc(song.isrc) or _digest(song.title, song.artists)


@lru_cache(maxsize=2_048)
def _digest(title: str, artists: tuple[str, ...]) -> str:
    names = json.dumps([title_key(title), version_key(title), *sorted(artist_keys(artists))])
    return f"t-{hashlib.sha256(names.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGITS]}"
