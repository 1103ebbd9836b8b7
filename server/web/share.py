"""What chats and networks show with a link to a page: Open Graph and Twitter cards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from fingerprint.domain.artwork import CARD_SIZE, card_url
from fingerprint.domain.identification import Identification, Kind, Song
from fingerprint.domain.songs import song_id
from server import keys
from server.access.rules.website import AccessMode, WebsiteSettings
from server.identifications.set_list import Play

_LIMIT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareCard:
    """The metadata of a page; `url` and `image` with the server's origin."""

    title: str
    description: str
    url: str
    image: str
    alt: str
    width: int = CARD_SIZE[0]
    height: int = CARD_SIZE[1]


def share_card(
    request: web.Request, website: WebsiteSettings, *, song: Song, path: str, where: str, title: str = ""
) -> ShareCard | None:
    """The card of a page about a song; None where asking takes signing in: what is private has none.

    `where`: a few words on where it was heard. `title`: of the page, if that is not the song's.
    """
    if website.access_mode is not AccessMode.OPEN:
        return None
    origin = str(request.app[keys.ORIGIN](request))
    name = _named(song)
    rest = " · ".join(filter(None, (name if title else song.album, where)))
    return ShareCard(
        title=(title or name)[:_LIMIT],
        description=rest[:_LIMIT],
        url=origin + path,
        image=origin + card_url(song_id(song), song.artwork),
        alt=f"Cover of {name}"[:_LIMIT],
    )


def answer_card(request: web.Request, website: WebsiteSettings, found: Identification) -> ShareCard | None:
    """The card of an answer; None without a song, and for uploaded files, which are their owners' own."""
    if found.song is None or found.kind is Kind.FILE:
        return None
    where = {
        Kind.STREAM: f"Heard on {found.target}",
        Kind.CLIP: f"Heard in a clip of {found.channel}" if found.channel else "Heard in a clip",
        Kind.VIDEO: f"Heard in a video of {found.channel}" if found.channel else "Heard in a video",
    }[found.kind]
    return share_card(request, website, song=found.song, path=f"/?id={found.id}", where=where)


def set_list_card(
    request: web.Request, website: WebsiteSettings, login: str, plays: Sequence[Play]
) -> ShareCard | None:
    """The card of a channel's set list, with its newest song; None for an empty one."""
    if not plays:
        return None
    count = "1 song" if len(plays) == 1 else f"{len(plays)} songs"
    return share_card(
        request,
        website,
        song=plays[0].song,
        path=f"/channels/{login}",
        where=count,
        title=f"{login}: set list",
    )


def _named(song: Song) -> str:
    return f"{song.title} by {', '.join(song.artists)}" if song.artists else song.title
