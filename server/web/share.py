"""What chats and networks show with a link to a page: Open Graph and Twitter cards, and their pictures."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from fingerprint.domain.artwork import CARD_SIZE, cover_digest
from fingerprint.domain.identification import Identification, Kind, Song
from fingerprint.domain.landmark_points import drawing_name
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.tracklist import Tracklist
from server import keys
from server.access.rules.website import AccessMode, WebsiteSettings
from server.api.artwork import CARD_COST, KEPT_COST, PICTURES
from server.artwork import CardKey
from server.entity_tags import tagged_response
from server.identifications.set_list import Play

_LIMIT: Final = 200
_NAMED: Final = 3
"""How many songs of a set list its card names."""

_HEADERS: Final = {"Cache-Control": "public, max-age=86400", "Cross-Origin-Resource-Policy": "cross-origin"}
"""An address has its words' digest in it, so that what changes has another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareCard:
    """The metadata of a page; `url` and `image` with the server's origin."""

    title: str
    description: str
    url: str
    image: str
    alt: str
    picture: CardKey
    width: int = CARD_SIZE[0]
    height: int = CARD_SIZE[1]


def share_card(
    request: web.Request,
    website: WebsiteSettings,
    *,
    song: Song,
    path: str,
    image: str,
    where: str,
    title: str = "",
    below: str = "",
) -> ShareCard | None:
    """The card of a page about a song; None where asking takes signing in: what is private has none.

    `where`: a few words on where it was heard. `title`: of the page, if that is not the song's, and `below`: the
    songs on it. `image`: the path of its picture.
    """
    if website.access_mode is not AccessMode.OPEN:
        return None
    origin = str(request.app[keys.ORIGIN](request))
    name = _named(song)
    rest = " · ".join(filter(None, (below if title else song.album, where)))
    picture = CardKey(
        cover_digest(song.artwork),
        drawing_name(song),
        (title, below, where) if title else (song.title, ", ".join(song.artists), where),
    )
    version = hashlib.blake2b(repr(dataclasses.astuple(picture)).encode(), digest_size=6).hexdigest()
    return ShareCard(
        title=(title or name)[:_LIMIT],
        description=rest[:_LIMIT],
        url=origin + path,
        image=f"{origin}{image}?v={version}",
        alt=(title or f"Cover of {name}")[:_LIMIT],
        picture=picture,
    )


async def card_response(request: web.Request, share: ShareCard | None) -> web.Response:
    """The picture of a page's card, as PNG. Raises TwitchAudioError `not-found`, `rate-limited`, `busy`."""
    if share is not None:
        budget, address = request.app[PICTURES], request[keys.CONTEXT].credentials.address
        budget.check(address, "Too many pictures were made for this address. Try again in a moment.")
        artwork = request.app[keys.ARTWORK]
        budget.spend(address, CARD_COST if artwork.card_has_to_be_made(share.picture) else KEPT_COST)
        # A cover that is gone leaves the song's drawing.
        plain = dataclasses.replace(share.picture, digest="")
        content = await artwork.card(share.picture) or await artwork.card(plain)
        if content is not None:
            return tagged_response(request, content, content_type="image/png", headers=_HEADERS)
    raise TwitchAudioError(ProblemCode.NOT_FOUND, "There is no picture at this address.")


def answer_card(request: web.Request, website: WebsiteSettings, found: Identification) -> ShareCard | None:
    """The card of an answer; None without a song, and for uploaded files, which are their owners' own."""
    if found.song is None or found.kind is Kind.FILE:
        return None
    where = {
        Kind.STREAM: f"Heard on {found.target}",
        Kind.CLIP: f"Heard in a clip of {found.channel}" if found.channel else "Heard in a clip",
        Kind.VIDEO: f"Heard in a video of {found.channel}" if found.channel else "Heard in a video",
    }[found.kind]
    return share_card(
        request,
        website,
        song=found.song,
        path=f"/?id={found.id}",
        image=f"/cards/answers/{found.id}.png",
        where=where,
    )


def set_list_card(
    request: web.Request, website: WebsiteSettings, login: str, plays: Sequence[Play]
) -> ShareCard | None:
    """The card of a channel's set list, with its newest song; None for an empty one."""
    if not plays:
        return None
    return share_card(
        request,
        website,
        song=plays[0].song,
        path=f"/channels/{login}",
        image=f"/cards/channels/{login}.png",
        where=_count(len(plays)),
        title=f"{login}: set list",
        below=_listed([play.song for play in plays]),
    )


def video_card(request: web.Request, website: WebsiteSettings, video: str, found: Tracklist) -> ShareCard | None:
    """The card of a VOD's set list, with its first song; None for an empty one."""
    if not found.songs:
        return None
    songs = [entry.song for entry in found.songs]
    return share_card(
        request,
        website,
        song=songs[0],
        path=f"/videos/{video}",
        image=f"/cards/videos/{video}.png",
        where=_count(len(songs)),
        title=f"Set list of video {video}",
        below=_listed(songs),
    )


def _count(songs: int) -> str:
    return "1 song" if songs == 1 else f"{songs} songs"


def _listed(songs: Sequence[Song]) -> str:
    """The first few different songs of a list."""
    return " · ".join(list(dict.fromkeys(map(_named, songs)))[:_NAMED])


def _named(song: Song) -> str:
    return f"{song.title} by {', '.join(song.artists)}" if song.artists else song.title
