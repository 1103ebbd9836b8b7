"""Tells what the bytes of a segment are, and when they begin by their own clock. Pure, for untrusted input.

MPEG-TS (ISO/IEC 13818-1), fragmented MP4 (ISO/IEC 14496-12), and packed AAC (RFC 8216, 3.4).
"""

import math
from collections.abc import Iterator
from typing import Final

from fingerprint.hls.timing import CLOCK_WRAP_SECONDS

PACKET_BYTES: Final = 188
_SYNC: Final = 0x47
_SYNC_SEARCH_BYTES: Final = 64 << 10
_SCANNED_BYTES: Final = 512 << 10
"""How much of a segment is searched for first timestamps."""

_TEXT: Final = frozenset(b"\t\n\r" + bytes(range(0x20, 0x7F)))
TEXT_BYTES: Final = 64
"""Media has other bytes than those of text among so many."""

_PES_CLOCK: Final = 90_000
_STSD_HEADER_BYTES: Final = 8
_MAX_BOXES: Final = 10_000
KNOWN_BOXES: Final = frozenset(
    {
        b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"sidx", b"ssix", b"emsg", b"prft", b"free", b"skip", b"wide",
        b"uuid", b"mfra", b"meta", b"pdin", b"meco", b"pssh", b"udta",
    }
)  # fmt: skip
_BEFORE_MEDIA: Final = KNOWN_BOXES - {b"mdat", b"mfra"}


def container_of(content: bytes, *, has_init: bool) -> str | None:
    """FFmpeg's name of a segment's container; None for what is no media, such as an error page or nothing at all.

    A segment may begin with boxes that carry events (`emsg`, `prft`), with an ID3 tag, or with bytes of no packet.
    """
    if is_text(content):
        return None
    if has_init or content[4:8] in _BEFORE_MEDIA:
        return "mp4" if content[4:8] in KNOWN_BOXES or _box_like(content) else None
    if transport_stream_start(content) is not None:
        return "mpegts"
    if _is_adts(content[_after_id3(content) :][:2]):
        return "aac"
    return None


def is_text(content: bytes) -> bool:
    """Whether a body is text or nothing at all, and so no media, by its first TEXT_BYTES."""
    return all(byte in _TEXT for byte in content[:TEXT_BYTES])


def transport_stream_start(content: bytes) -> int | None:
    """Where the first MPEG-TS packet begins, after an ID3 tag or junk; None when there is none.

    Three packets in a row must agree, or as many as there are where no junk comes before them.
    """
    first = start = _after_id3(content)
    while (start := content.find(b"\x47", start, first + _SYNC_SEARCH_BYTES)) >= 0:
        following = [content[at] for at in range(start + PACKET_BYTES, len(content), PACKET_BYTES)[:2]]
        alone = start == first and start + PACKET_BYTES <= len(content)
        if all(sync == _SYNC for sync in following) and (len(following) == 2 or alone):
            return start
        start += 1
    return None


def is_streamable(content: bytes) -> bool:
    """Whether an MP4 file that begins like this can be decoded while it arrives: what describes it comes first."""
    return (
        next((kind for kind, _, _ in iter_boxes(content, 0, len(content)) if kind in (b"moov", b"mdat")), b"")
        == b"moov"
    )


def missing_bytes(content: bytes) -> int:
    """How many bytes of MP4 are missing at the end, by the size of its last box."""
    end = 0
    for _, inside, _ in iter_boxes(content, 0, len(content)):
        size = number_at(content, end, 4)
        size = number_at(content, end + 8, 8) if size == 1 else size or len(content) - end
        end += max(size, inside - end)
    return max(0, end - len(content))


def unknown_boxes(content: bytes) -> frozenset[str]:
    """The names of a fragment's outermost boxes that this module does not know."""
    kinds = {kind for kind, _, _ in iter_boxes(content, 0, len(content))} - KNOWN_BOXES
    return frozenset(kind.decode("ascii", "replace") for kind in kinds)


def has_protected_sound(head: bytes) -> bool:
    """Whether an init section says that its sound is encrypted (ISO/IEC 14496-12, 8.12: sample entry `enca`)."""
    path = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    return any(
        name == b"enca"
        for start, end in inner_boxes(head, 0, len(head), *path)
        for name, _, _ in iter_boxes(head, start + _STSD_HEADER_BYTES, end)
    )


def first_timestamp(content: bytes, container: str, *, head: bytes = b"") -> float | None:
    """The earliest first timestamp of a segment's tracks, in seconds of its own clock; None when there is none.

    `head` is the init section of fragmented MP4, which says what its clocks count.
    """
    match container:
        case "mpegts":
            return _of_transport_stream(content)
        case "mp4":
            return _of_fragment(content, _timescales(head or content))
        case _:
            return None


def clock_wrap(container: str) -> float:
    """After how many seconds a container's clock starts again from 0; infinite for one that does not."""
    return CLOCK_WRAP_SECONDS if container == "mpegts" else math.inf


# --- MPEG-TS ------------------------------------------------------------------------------------------


def _after_id3(content: bytes) -> int:
    """Where the content goes on after an ID3v2 tag (id3.org, 3.1)."""
    if content[:3] != b"ID3" or len(content) < 10:
        return 0
    size = 0
    for byte in content[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def _is_adts(start: bytes) -> bool:
    return len(start) == 2 and start[0] == 0xFF and start[1] & 0xF6 == 0xF0


def _of_transport_stream(content: bytes) -> float | None:
    start = transport_stream_start(content)
    if start is None:
        return None
    found: dict[int, int] = {}
    end = min(len(content), start + _SCANNED_BYTES)
    for at in range(start, end - PACKET_BYTES + 1, PACKET_BYTES):  # the last packet may be cut
        if not content[at + 1] & 0x40 or content[at] != _SYNC:
            continue
        pid = (content[at + 1] & 0x1F) << 8 | content[at + 2]
        if pid not in found and (stamp := _presentation_time(content[at : at + PACKET_BYTES])) is not None:
            found[pid] = stamp
    if not found:
        return None
    # Near the end of the clock one track may have begun again already.
    latest = max(found.values())
    wrapped = [stamp + (1 << 33 if latest - stamp > 1 << 32 else 0) for stamp in found.values()]
    return min(wrapped) % (1 << 33) / _PES_CLOCK


def _presentation_time(packet: bytes) -> int | None:
    """The timestamp of the sound or picture that begins in a packet."""
    payload = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    header = packet[payload : payload + 14]
    if len(header) < 14 or header[:3] != b"\0\0\1" or not 0xBD <= header[3] <= 0xEF or not header[7] & 0x80:
        return None
    if header[3] in (0xBE, 0xBF):  # padding and private data have no timestamps
        return None
    first, second, third, fourth, fifth = header[9:14]
    return (first >> 1 & 7) << 30 | second << 22 | (third >> 1) << 15 | fourth << 7 | fifth >> 1


# --- MP4 ----------------------------------------------------------------------------------------------


def iter_boxes(content: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each box, and where its content begins and ends."""
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        size = int.from_bytes(content[start : start + 4], "big")
        kind, inside = content[start + 4 : start + 8], start + 8
        if size == 1:
            size = int.from_bytes(content[start + 8 : start + 16], "big")
            inside = start + 16
        elif size == 0:
            size = end - start
        if size < inside - start:
            return
        yield kind, inside, min(end, start + size)
        start += size


def _box_like(content: bytes) -> bool:
    """Whether an unknown first box is followed by known ones."""
    return any(kind in KNOWN_BOXES for kind, _, _ in iter_boxes(content, 0, len(content)))


def inner_boxes(content: bytes, start: int, end: int, *path: bytes) -> Iterator[tuple[int, int]]:
    """Where the boxes at a path of names begin and end."""
    for kind, inside, until in iter_boxes(content, start, end):
        if kind == path[0]:
            if len(path) == 1:
                yield inside, until
            else:
                yield from inner_boxes(content, inside, until, *path[1:])


def _timescales(head: bytes) -> dict[int, int]:
    """How many units make a second, by the number of the track."""
    found: dict[int, int] = {}
    for start, end in inner_boxes(head, 0, len(head), b"moov", b"trak"):
        track = next(inner_boxes(head, start, end, b"tkhd"), None)
        media = next(inner_boxes(head, start, end, b"mdia", b"mdhd"), None)
        if track is not None and media is not None:
            # Version 1 has times of 8 bytes in front.
            at_track = track[0] + (20 if number_at(head, track[0], 1) == 1 else 12)
            at_media = media[0] + (20 if number_at(head, media[0], 1) == 1 else 12)
            found[number_at(head, at_track, 4)] = number_at(head, at_media, 4)
    return found


def _of_fragment(content: bytes, timescales: dict[int, int]) -> float | None:
    stamps: list[float] = []
    for moof in inner_boxes(content, 0, len(content), b"moof"):
        for start, end in inner_boxes(content, *moof, b"traf"):
            header = next(inner_boxes(content, start, end, b"tfhd"), None)
            time = next(inner_boxes(content, start, end, b"tfdt"), None)
            if header is None or time is None:
                continue
            scale = timescales.get(number_at(content, header[0] + 4, 4), 0)
            size = 8 if number_at(content, time[0], 1) == 1 else 4
            if scale:
                stamps.append(number_at(content, time[0] + 4, size) / scale)
        if stamps:
            break  # later fragments are later
    return min(stamps, default=None)


def number_at(content: bytes, at: int, size: int) -> int:
    """The big-endian integer of `size` bytes at a position; bytes behind the end do not count."""
    return int.from_bytes(content[at : at + size], "big")
