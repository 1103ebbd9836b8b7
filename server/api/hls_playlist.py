"""A set list as an HLS media playlist (RFC 8216): the previews of its songs, one after another. Pure.

Every player takes it, and FFmpeg too, since its entries are sound: 30 s of each song in the one form that this
server writes previews in. What has no preview is a comment, as is where a song was heard.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from fingerprint.domain.text import clean_text
from fingerprint.links.media import PACKED, PACKED_SECONDS, PREVIEWS

CONTENT_TYPE: Final = "application/vnd.apple.mpegurl"


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsEntry:
    """A song of the playlist: its name, its `preview`, and where it was heard, as an address."""

    name: str
    preview: str | None
    place: str | None = None


def as_hls(title: str, entries: Iterable[HlsEntry], origin: str) -> str:
    """The playlist. `origin`: this server's public address; without one there are comments only."""
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:3",
        f"# {_line(title)}",
        f"#EXT-X-TARGETDURATION:{PACKED_SECONDS:.0f}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
    ]
    first = True
    for entry in entries:
        if entry.place is not None:
            lines.append(f"# {_line(entry.place)}")
        if not origin or entry.preview is None or not entry.preview.startswith(f"{PREVIEWS}/"):
            lines.append(f"# {_line(entry.name)}: no preview")
            continue
        if not first:
            lines.append("#EXT-X-DISCONTINUITY")
        first = False
        lines += [f"#EXTINF:{PACKED_SECONDS:.3f},{_line(entry.name)}", f"{origin}{entry.preview}{PACKED}"]
    return "\n".join([*lines, "#EXT-X-ENDLIST"]) + "\n"


def _line(text: str) -> str:
    return " ".join(clean_text(text).split())
