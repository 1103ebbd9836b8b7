"""Multivariant and media playlists (RFC 8216, and Twitch's tags) as values.

The reader is tolerant: unknown tags and attributes are passed over, optional ones may be broken. It raises one
error, `PlaylistError`, for text that is no playlist, for absurd numbers and beyond its limits. URIs stay text
until they are needed: `address(base, uri)` resolves and checks one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from fingerprint.hls.attributes import (
    EncryptedPlaylistError,
    PlaylistError,
    attributes,
    later,
    moment,
    seconds,
    whole,
)

MAX_CHARACTERS: Final = 1 << 20
"""The longest multivariant playlist."""

MAX_LIVE_CHARACTERS: Final = 8 << 20
"""The longest media playlist of a live stream, which may list all of a broadcast of hours."""

MAX_VIDEO_CHARACTERS: Final = 32 << 20
"""The longest media playlist of a VOD: two days of segments of 2 s, with long addresses."""


class LongPlaylistError(PlaylistError):
    """A playlist that is longer than anything that Twitch is known to make."""


_BEGINNING_CHARACTERS: Final = 16
MAX_RENDITIONS: Final = 200
MAX_SEGMENTS: Final = 100_000
"""Two days of segments of 2 s are 86,400."""

MAX_DATE_RANGES: Final = 1_000
MAX_PREFETCH: Final = 10
MAX_SEGMENT_SECONDS: Final = 120.0
_MAX_RANGE_SECONDS: Final = 86_400.0
_MAX_BROADCAST_SECONDS: Final = 1e8
_UNKNOWN_BANDWIDTH: Final = 2**40
"""More than any other, so that it is chosen last."""

MAX_SIGNS: Final = 10
"""The most tags that are kept for one segment."""

MAX_SIGN_CHARACTERS: Final = 200
_SIGNS: Final = ("#EXT-X-CUE", "#EXT-X-SCTE35", "#EXT-OATCLS-SCTE35", "#EXT-X-TWITCH-LIVE-SEQUENCE")

MAX_UNKNOWN_TAGS: Final = 10
"""The most unknown tags that are kept of a playlist."""

_MAX_TAG_CHARACTERS: Final = 60
_SILENT_TAGS: Final = frozenset(
    {
        "#EXTM3U",
        "#EXT-X-VERSION",
        "#EXT-X-PLAYLIST-TYPE",
        "#EXT-X-DISCONTINUITY-SEQUENCE",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-ALLOW-CACHE",
        "#EXT-X-START",
        "#EXT-X-TWITCH-INFO",
        "#EXT-X-TWITCH-TOTAL-SECS",
    }
)
"""Tags that were seen in Twitch's media playlists, or that the first edition of the RFC has, and that say nothing
about the sound of segments."""

_VIDEO_CODECS: Final = ("avc", "hvc", "hev", "dvh", "dva", "av01", "vp0", "vp8", "vp9", "mp4v", "vvc")
_TEXT_CODECS: Final = ("stpp", "wvtt", "tx3g")


# --- Multivariant playlists ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """One encoding of the stream. `name` is Twitch's, such as `audio_only` or `720p60`; it may be missing.

    `sound_elsewhere`: its sound is a rendition of its own, in EXT-X-MEDIA, so its segments may have none.
    """

    uri: str = field(repr=False)
    bandwidth: int
    codecs: tuple[str, ...] = ()
    resolution: str | None = None
    name: str | None = None
    sound_elsewhere: bool = False

    @property
    def has_audio(self) -> bool:
        """False only when the codecs are listed and none is for sound."""
        return not self.codecs or any(not codec.startswith(_VIDEO_CODECS + _TEXT_CODECS) for codec in self.codecs)

    @property
    def audio_only(self) -> bool:
        """Whether it has no video: judged by codecs and missing resolution; as a last resort, by the name."""
        if self.resolution is not None:
            return False
        if self.codecs:
            return not any(_is_video(codec) for codec in self.codecs)
        return self.name is not None and self.name.lower().startswith("audio")


@dataclass(frozen=True, slots=True, kw_only=True)
class MultivariantPlaylist:
    """The renditions in the playlist's order, which has no meaning."""

    renditions: tuple[Rendition, ...]


def parse_multivariant(text: str) -> MultivariantPlaylist:
    """Parses Twitch's usher playlists, v1 (names in EXT-X-MEDIA) and v2 (names in the variant itself).

    Sound that is a rendition of its own (EXT-X-MEDIA of type AUDIO with a URI) counts as one, too.
    Raises PlaylistError, also for a media playlist, so that playlists cannot nest any deeper.
    """
    variants: list[tuple[dict[str, str], str]] = []
    media: list[dict[str, str]] = []
    pending: dict[str, str] | None = None
    for line in _lines(text, MAX_CHARACTERS):
        if line.startswith("#EXT-X-STREAM-INF:"):
            pending = attributes(line.partition(":")[2])
        elif line.startswith("#EXT-X-MEDIA:"):
            media.append(attributes(line.partition(":")[2]))
        elif line.startswith("#EXTINF"):
            raise PlaylistError("it lists segments where renditions belong")
        elif not line.startswith("#") and pending is not None:
            variants.append((pending, line))
            pending = None
        if len(variants) + len(media) > 2 * MAX_RENDITIONS or len(variants) > MAX_RENDITIONS:
            raise PlaylistError("it lists absurdly many renditions")
    names = {each.get("GROUP-ID", ""): each.get("NAME", "") for each in media if each.get("TYPE") == "VIDEO"}
    sounds = [each for each in media if each.get("TYPE") == "AUDIO"]
    # A member without an address stands for the sound in the variants themselves (RFC 8216, 4.3.4.2.1).
    apart = {each.get("GROUP-ID", "") for each in sounds} - {
        each.get("GROUP-ID", "") for each in sounds if not each.get("URI")
    }
    renditions = [_rendition(variant, uri, names, apart) for variant, uri in variants]
    renditions += [_sound(each) for each in sounds if each.get("URI")]
    if not renditions:
        raise PlaylistError("it lists no rendition")
    return MultivariantPlaylist(renditions=tuple(renditions))


def twitch_info(text: str) -> dict[str, str]:
    """What a multivariant playlist tells of the broadcast, by name, such as `BROADCAST-ID` and `STREAM-TIME`.

    It is in EXT-X-TWITCH-INFO, or in a series of EXT-X-SESSION-DATA.
    """
    found: dict[str, str] = {}
    for line in _lines(text, MAX_CHARACTERS):
        if line.startswith("#EXT-X-TWITCH-INFO:"):
            found |= attributes(line.partition(":")[2])
        elif line.startswith("#EXT-X-SESSION-DATA:"):
            each = attributes(line.partition(":")[2])
            found[each.get("DATA-ID", "")] = each.get("VALUE", "")
        elif line.startswith("#EXT-X-STREAM-INF:"):
            break
    return found


def by_preference(playlist: MultivariantPlaylist) -> tuple[Rendition, ...]:
    """The renditions that have sound, in the order to try: audio only first, then the smallest.

    Variants whose sound is a rendition of its own come last, since their segments may have none.
    """
    with_audio = [rendition for rendition in playlist.renditions if rendition.has_audio]
    return tuple(sorted(with_audio, key=lambda each: (each.sound_elsewhere, not each.audio_only, each.bandwidth)))


def _rendition(variant: dict[str, str], uri: str, names: dict[str, str], apart: set[str]) -> Rendition:
    group = variant.get("VIDEO", "")
    name = variant.get("STABLE-VARIANT-ID") or variant.get("IVS-NAME") or names.get(group) or group or None
    return Rendition(
        uri=uri,
        bandwidth=whole(variant.get("BANDWIDTH", "")) or _UNKNOWN_BANDWIDTH,
        codecs=tuple(codec.strip().lower() for codec in variant.get("CODECS", "").split(",") if codec.strip()),
        resolution=resolution if (resolution := variant.get("RESOLUTION")) not in ("", "0x0") else None,
        name=name,
        sound_elsewhere=variant.get("AUDIO") in apart,
    )


def _sound(media: dict[str, str]) -> Rendition:
    """The rendition of an EXT-X-MEDIA of type AUDIO. Of several, such as languages, the default comes first, and
    a description of the picture last.
    """
    described = "describes-video" in media.get("CHARACTERISTICS", "")
    return Rendition(
        uri=media["URI"],
        bandwidth=_UNKNOWN_BANDWIDTH - (media.get("DEFAULT") == "YES") + 2 * described,
        codecs=("audio",),
        name=media.get("NAME") or media.get("GROUP-ID"),
    )


def _is_video(codec: str) -> bool:
    return codec.startswith(_VIDEO_CODECS)


# --- Media playlists ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A byte range of a resource."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InitSection:
    """EXT-X-MAP: the header that fragmented MP4 needs before the first segment."""

    uri: str = field(repr=False)
    byte_range: ByteRange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A media segment.

    `sequence` is its media sequence number. `started_at` is the program date-time of its first sample, given or
    computed from the segments before it (`date_given` tells which). `discontinuity`: its timestamps do not follow
    the previous segment's.
    `gap`: it is listed, but was never made (EXT-X-GAP), or is encrypted.
    `signs`: the tags before it that may be about ads (`hls.ads`), as they are.
    """

    uri: str = field(repr=False)
    sequence: int
    duration_seconds: float
    title: str = ""
    started_at: datetime | None = None
    date_given: bool = False
    discontinuity: bool = False
    gap: bool = False
    init: InitSection | None = None
    byte_range: ByteRange | None = None
    signs: tuple[str, ...] = ()

    @property
    def ended_at(self) -> datetime | None:
        """The program date-time of its end, or None when unknown."""
        return None if self.started_at is None else later(self.started_at, self.duration_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRange:
    """EXT-X-DATERANGE: an event with a start and usually a duration. `kind` is its CLASS."""

    id: str
    kind: str
    started_at: datetime
    duration_seconds: float | None
    attributes: dict[str, str] = field(repr=False)

    @property
    def ended_at(self) -> datetime:
        """Its end, or its start when the duration is unknown."""
        return later(self.started_at, self.duration_seconds or 0.0) or self.started_at


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlaylist:
    """The segments of a media playlist, oldest first. `ended`: no more will be added.

    `prefetch`: URIs of segments that are still being produced and follow the last one without a discontinuity.
    `last_signs`: the `signs` after the last segment. `unknown_tags`: names of tags that nothing here knows.
    """

    segments: tuple[Segment, ...]
    target_seconds: float
    ended: bool = False
    date_ranges: tuple[DateRange, ...] = ()
    prefetch: tuple[str, ...] = field(default=(), repr=False)
    last_signs: tuple[str, ...] = ()
    unknown_tags: tuple[str, ...] = ()
    elapsed_seconds: float | None = None
    """How long the broadcast had run when the first segment began, as Twitch says."""

    @property
    def duration_seconds(self) -> float:
        return sum(segment.duration_seconds for segment in self.segments)


def parse_media(text: str) -> MediaPlaylist:
    """Parses a media playlist of a live stream or a VOD; it may list no segments yet.

    Raises PlaylistError; also for a multivariant playlist, and when all segments are encrypted.
    """
    reader = _MediaReader()
    for line in _lines(text, MAX_VIDEO_CHARACTERS):
        if line.startswith("#"):
            reader.tag(line)
        else:
            reader.uri(line)
    return reader.playlist()


class _MediaReader:
    """The state between the lines of a media playlist."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._date_ranges: list[DateRange] = []
        self._prefetch: list[str] = []
        self._target_seconds = 0.0
        self._sequence = 0
        self._ended = False
        # attributes of the next segment
        self._duration: float | None = None
        self._title = ""
        self._started_at: datetime | None = None
        self._given_date: datetime | None = None
        self._discontinuity = False
        self._gap = False
        self._encrypted = False
        self._has_clear = False
        self._init: InitSection | None = None
        self._byte_range: ByteRange | None = None
        self._range_end: dict[str, int] = {}
        self._range_text: str | None = None
        self._signs: list[str] = []
        self._unknown_tags: dict[str, None] = {}
        self._elapsed_seconds: float | None = None

    def playlist(self) -> MediaPlaylist:
        if self._encrypted and not self._has_clear:
            raise EncryptedPlaylistError("its segments are encrypted")
        if self._segments and not any(segment.duration_seconds for segment in self._segments):
            raise PlaylistError("all its segments last 0 s")
        return MediaPlaylist(
            segments=tuple(self._segments),
            target_seconds=self._target_seconds,
            ended=self._ended,
            date_ranges=tuple(self._date_ranges),
            prefetch=tuple(self._prefetch),
            last_signs=tuple(self._signs),
            unknown_tags=tuple(self._unknown_tags),
            elapsed_seconds=self._elapsed_seconds,
        )

    def tag(self, line: str) -> None:  # noqa: PLR0912 - one branch for each tag
        name, _, value = line.partition(":")
        match name:
            case "#EXTINF":
                self._extinf(value)
            case "#EXT-X-PROGRAM-DATE-TIME":
                self._started_at = self._given_date = moment(value.strip())
            case "#EXT-X-DISCONTINUITY":
                self._discontinuity = True
                self._started_at = self._given_date  # the tags of a segment have no order
            case "#EXT-X-GAP":
                self._gap = True
            case "#EXT-X-BYTERANGE":
                self._range_text = value.strip()
            case "#EXT-X-MAP":
                self._map(attributes(value))
            case "#EXT-X-DATERANGE":
                self._date_range(attributes(value))
            case "#EXT-X-TWITCH-PREFETCH" | "#EXT-X-PREFETCH":
                self._prefetch_uri(value.strip())
            case "#EXT-X-MEDIA-SEQUENCE":
                if not self._segments:
                    self._sequence = whole(value.strip()) or 0
            case "#EXT-X-TARGETDURATION":
                self._target_seconds = seconds(value.strip(), most=MAX_SEGMENT_SECONDS) or 0.0
            case "#EXT-X-TWITCH-ELAPSED-SECS":
                self._elapsed_seconds = seconds(value.strip(), most=_MAX_BROADCAST_SECONDS)
            case "#EXT-X-ENDLIST":
                self._ended = True
            case "#EXT-X-KEY":
                self._encrypted = attributes(value).get("METHOD", "NONE").upper() != "NONE"
            case "#EXT-X-STREAM-INF":
                raise PlaylistError("it lists renditions where segments belong")
            case _ if name.startswith(_SIGNS):
                if len(self._signs) < MAX_SIGNS:
                    self._signs.append(line[:MAX_SIGN_CHARACTERS])
            case _:
                self._other(name)

    def _other(self, name: str) -> None:
        """Note a tag that is not known; a comment is none."""
        if name.startswith("#EXT") and name not in _SILENT_TAGS and len(self._unknown_tags) < MAX_UNKNOWN_TAGS:
            self._unknown_tags[name[:_MAX_TAG_CHARACTERS]] = None

    def uri(self, line: str) -> None:
        if self._duration is None:
            raise PlaylistError("it holds a line that is neither a tag nor a segment")
        if len(self._segments) >= MAX_SEGMENTS:
            raise LongPlaylistError("it lists absurdly many segments")
        segment = Segment(
            uri=line,
            sequence=self._sequence,
            duration_seconds=self._duration,
            title=self._title,
            started_at=self._started_at,
            date_given=self._given_date is not None,
            discontinuity=self._discontinuity,
            gap=self._gap or self._encrypted,
            init=self._init,
            byte_range=None if self._range_text is None else self._range(self._range_text, line),
            signs=tuple(self._signs),
        )
        self._segments.append(segment)
        self._has_clear = self._has_clear or not self._encrypted
        self._started_at = segment.ended_at
        self._sequence += 1
        self._duration, self._title, self._discontinuity, self._range_text = None, "", False, None
        self._gap, self._given_date = False, None
        self._signs.clear()

    def _prefetch_uri(self, uri: str) -> None:
        # After a discontinuity it may be anything, an advertisement for example.
        if uri and not self._discontinuity and not self._encrypted and len(self._prefetch) < MAX_PREFETCH:
            self._prefetch.append(uri)

    def _extinf(self, value: str) -> None:
        length, _, self._title = value.partition(",")
        number, _, _ = length.strip().partition(" ")  # some packagers write attributes behind it
        self._duration = seconds(number, most=MAX_SEGMENT_SECONDS)
        if self._duration is None:
            raise PlaylistError("a segment's duration is absurd")

    def _map(self, found: dict[str, str]) -> None:
        uri = found.get("URI")
        if not uri:
            raise PlaylistError("its init section has no address")
        text = found.get("BYTERANGE")
        self._init = InitSection(uri=uri, byte_range=None if text is None else self._range(text, uri))

    def _range(self, text: str, uri: str) -> ByteRange:
        """Parses `length[@offset]`; the default offset is where the resource's previous range ended."""
        length_text, separator, offset_text = text.partition("@")
        length = whole(length_text.strip())
        offset = whole(offset_text.strip()) if separator else self._range_end.get(uri, 0)
        if not length or offset is None:
            raise PlaylistError("a byte range is absurd")
        self._range_end[uri] = offset + length
        return ByteRange(offset, length)

    def _date_range(self, found: dict[str, str]) -> None:
        start = moment(found.get("START-DATE", ""))
        if start is None or len(self._date_ranges) >= MAX_DATE_RANGES:
            return
        duration = seconds(found.get("DURATION", ""), most=_MAX_RANGE_SECONDS)
        end = moment(found.get("END-DATE", ""))
        if duration is None and end is not None:
            duration = max(0.0, (end - start).total_seconds())
        self._date_ranges.append(
            DateRange(
                id=found.get("ID", ""),
                kind=found.get("CLASS", ""),
                started_at=start,
                duration_seconds=duration,
                attributes=found,
            )
        )


def _lines(text: str, max_characters: int) -> Iterator[str]:
    """The lines that are not empty, after checking that the text is a playlist of acceptable size."""
    if len(text) > max_characters:
        raise LongPlaylistError("it is absurdly long")
    if "#\0E\0X" in text[:_BEGINNING_CHARACTERS]:
        raise PlaylistError("it is not in UTF-8")
    lines = (line.strip() for line in text.removeprefix("\ufeff").replace("\r", "\n").split("\n"))
    filled = (line for line in lines if line)
    if not next(filled, "").startswith("#EXTM3U"):
        raise PlaylistError("it does not begin like a playlist")
    return filled
