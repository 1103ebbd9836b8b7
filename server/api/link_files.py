"""The songs of a set list as plain links to one service, a line for each: for its own playlists. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from fingerprint.domain.identification import Song, song_key
from fingerprint.domain.links import SERVICES, ExternalService

VIDEOS_AT_ONCE: Final = 50
"""YouTube makes a list of that many videos at most out of one address."""

_VIDEOS: Final = "https://www.youtube.com/watch_videos?video_ids="


def as_links(service: ExternalService, songs: Iterable[Song]) -> str:
    """The songs that the service is known to have, each once and from its start, in the order given."""
    links: dict[str, str] = {}
    seen: set[tuple[str, ...]] = set()
    for song in songs:
        link = service.song_link(replace(song, offset_seconds=None))
        if link is not None and song_key(song) not in seen:
            seen.add(song_key(song))
            links.setdefault(link, link.removeprefix(service.link))
    lines = list(links)
    if lines and service.name == "youtube":
        lines.insert(0, _VIDEOS + ",".join(list(links.values())[:VIDEOS_AT_ONCE]))
    return "".join(f"{line}\n" for line in lines)


_LISTED: Final = {f"{service.name}.txt": service for service in SERVICES if service.name in ("spotify", "youtube")}

LINK_FILES: Final[Mapping[str, Callable[[Iterable[Song]], str]]] = {
    ending: partial(as_links, service) for ending, service in _LISTED.items()
}
"""By the ending of a file's name: what writes it."""

LABELS: Final[Mapping[str, str]] = {ending: service.label for ending, service in _LISTED.items()}
"""By the ending of a file's name: the service's name."""


def empty_link_files(songs: Sequence[Song]) -> frozenset[str]:
    """The endings of the files in which none of the songs would be."""
    return frozenset(
        ending for ending, service in _LISTED.items() if not any(service.song_link(song) for song in songs)
    )
