"""What an answer of Shazam's private service says, without I/O. The form is undocumented: all is optional."""

from collections.abc import Sequence
from typing import Final

from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.ports import Match
from fingerprint.providers.faults import transient
from fingerprint.providers.reading import Object, first, number, objects, text

NAME: Final = "Shazam"

UNSCORED: Final = 0.9
"""The score of an answer: the service gives none."""


def matches(body: Object, *, start_seconds: float) -> Sequence[Match]:
    """The song found, or none. Raises ProviderError for an answer of another form."""
    if "matches" not in body and "track" not in body:
        raise transient(NAME, f"{NAME} answers with something that cannot be read.")
    track = first(body, "track")
    if not objects(body.get("matches")) or text(track.get("title")) is None:
        return ()
    offset = number(first(body, "matches").get("offset"))
    facts = _facts(track)
    artist = text(track.get("subtitle"))
    song = Song(
        title=text(track.get("title")) or "",
        artists=(artist,) if artist else (),
        album=facts.get("album"),
        label=facts.get("label"),
        isrc=text(track.get("isrc")),
        release_date=text(track.get("releasedate")) or facts.get("released"),
        offset_seconds=None if offset is None else round(max(0.0, offset), 3),
        position_seconds=round(start_seconds, 3),
        ids=ExternalIds(apple_music=_apple_music(track)),
    )
    return (Match(song=song, score=UNSCORED),)


def _facts(track: Object) -> dict[str, str]:
    """The table of album, label and year that is meant for people."""
    found: dict[str, str] = {}
    for section in objects(track.get("sections")):
        for row in objects(section.get("metadata")):
            name, value = text(row.get("title")), text(row.get("text"))
            if name and value:
                found.setdefault(name.lower(), value)
    return found


def _apple_music(track: Object) -> str | None:
    for action in objects(first(track, "hub").get("actions")):
        identifier = text(action.get("id"))
        if action.get("type") == "applemusicplay" and identifier and identifier.isdecimal():
            return identifier
    return None
