"""Tells content from advertisements in a live playlist, without I/O.

Stitched ads are in the same playlist as the stream. Signs of them, most reliable first: the segment's title, which
has the form `Amazon|<creative>` where content has `live`; a date range of an ad's class, which nearly always comes
and may come early, end late or have no end; and, on other services than Twitch so far, CUE-OUT tags and SCTE-35
date ranges. What has no sign of either kind, such as a title that was never seen before, is doubtful: it is
listened to only where nothing better is listed. See docs/simulator.md for what is known of each sign.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from fingerprint.domain.web_addresses import read_address
from fingerprint.hls.attributes import attributes, later, seconds
from fingerprint.hls.playlist import DateRange, MediaPlaylist, Segment

ENOUGH_SECONDS: Final = 3.0
"""The least content without doubt that makes doubtful segments unnecessary, in seconds."""

MAX_POD_SECONDS: Final = 900.0
"""After so long, the range of an ad that names no end is over."""

MAX_JUDGED: Final = 300
"""How many segments are judged; Twitch lists 15."""

LIVE_TITLE: Final = "live"
HARMLESS_CLASSES: Final = frozenset(
    {
        "timestamp",
        "twitch-timestamp",
        "twitch-session",
        "twitch-assignment",
        "twitch-stream-source",
        "twitch-trigger",
        "twitch-maf-ad",  # an ad beside the stream, which replaces nothing
    }
)
RECORDED_AD_CLASSES: Final = frozenset({"twitch-stitched-ad", "twitch-ad-quartile"})

_AD_TITLE: Final = re.compile(r"\s*[^\s|]+\|\S*\s*")
"""`Amazon|<creative>`, whoever sells it; a title with words around a bar may be the stream's own."""

_AD_CLASS: Final = re.compile(r"(twitch-)?stitched(-|$)|twitch-ad(-|$)", re.IGNORECASE)
_AD_ID: Final = "stitched-ad-"
_AD_WORD: Final = re.compile(
    r"(^|[^a-z])(ads?|advert[a-z]*|promo[a-z]*|commercial[a-z]*)($|[^a-z])", re.IGNORECASE
)
_AD_ATTRIBUTE: Final = "X-TV-TWITCH-AD-"
_POD_SECONDS: Final = "X-TV-TWITCH-AD-POD-FILLED-DURATION"
_LIVE_SEQUENCE: Final = "#EXT-X-TWITCH-LIVE-SEQUENCE"
_MAX_AD_RANGES: Final = 60
"""The newest ones; a window of half a minute holds a few."""

_MAX_DATE_GAP: Final = timedelta(seconds=2)
"""How far a segment's date may be from the end of the one before it without sound missing between them."""

_MIN_OVERLAP: Final = timedelta(seconds=0.25)
"""A segment that overlaps an ad's date range by less than this is no ad: the times are rounded."""


class Verdict(Enum):
    """What a segment holds, as far as the playlist tells."""

    CONTENT = "content"
    DOUBTFUL = "doubtful"
    AD = "ad"


@dataclass(frozen=True, slots=True)
class AdRange:
    """A time in which ads replace the stream. `ends_at` is None when the playlist names no end; `certain` is false
    for a range that only looks like an ad's.
    """

    starts_at: datetime
    ends_at: datetime | None
    certain: bool = True

    def overlaps(self, begins: datetime, ends: datetime) -> bool:
        """Whether [begins, ends) lies in it, or a good part of that does."""
        end = self.ends_at or later(self.starts_at, MAX_POD_SECONDS) or self.starts_at
        return min(ends, end) - max(begins, self.starts_at) > _MIN_OVERLAP

    def may_end_at(self, discontinuity: datetime | None) -> bool:
        """Whether a discontinuity may be the end that the playlist does not name."""
        return self.ends_at is None and discontinuity is not None and discontinuity - self.starts_at > _MIN_OVERLAP

    def touches(self, begins: datetime, ends: datetime) -> bool:
        """Whether it shares any time with [begins, ends)."""
        return self.starts_at < ends and (self.ends_at is None or self.ends_at > begins)


# --- Date ranges --------------------------------------------------------------------------------------


def ad_ranges(playlist: MediaPlaylist) -> tuple[AdRange, ...]:
    """The date ranges in which ads replace the stream, or may do so."""
    found: list[AdRange] = []
    suspects = [each for each in playlist.date_ranges if _is_ad_range(each) or _looks_like_ad(each)]
    for each in sorted(suspects, key=lambda suspect: suspect.started_at)[-_MAX_AD_RANGES:]:
        certain = _is_ad_range(each)
        end = _end_of(each, playlist.date_ranges)
        # Something unknown without an end would make the rest of the broadcast doubtful.
        if certain or end is not None:
            found.append(AdRange(each.started_at, end, certain))
    return tuple(found)


def _is_ad_range(each: DateRange) -> bool:
    return (
        _AD_CLASS.match(each.kind) is not None
        or each.id.lower().startswith(_AD_ID)
        or "SCTE35-OUT" in each.attributes
    )


def _looks_like_ad(each: DateRange) -> bool:
    if each.kind in HARMLESS_CLASSES:
        return False
    if any(name.startswith(_AD_ATTRIBUTE) for name in each.attributes) or "SCTE35-CMD" in each.attributes:
        return True
    return _AD_WORD.search(each.kind) is not None or _AD_WORD.search(each.id) is not None


def _end_of(each: DateRange, others: Sequence[DateRange]) -> datetime | None:
    """The end of a date range, from whatever tells it; None when nothing does."""
    if each.duration_seconds is not None:
        return each.ended_at
    for name in ("PLANNED-DURATION", _POD_SECONDS):
        planned = seconds(each.attributes.get(name, ""), most=MAX_POD_SECONDS)
        if planned:
            return later(each.started_at, planned)
    if "SCTE35-OUT" in each.attributes:
        returns = [other for other in others if other.id == each.id and "SCTE35-IN" in other.attributes]
        return min((other.ended_at for other in returns), default=None)
    if each.attributes.get("END-ON-NEXT") == "YES":
        later_ones = (other.started_at for other in others if other.kind == each.kind)
        return min((start for start in later_ones if start > each.started_at), default=None)
    return None


# --- Cues ---------------------------------------------------------------------------------------------


def _cued_out(playlist: MediaPlaylist) -> tuple[list[bool], bool]:
    """Whether each segment lies between a CUE-OUT and its CUE-IN, and whether what follows the last one does."""
    out: list[bool] = []
    left = 0.0
    for segment in playlist.segments:
        for line in segment.signs:
            left = _after_cue(line, left)
        out.append(left > _MIN_OVERLAP.total_seconds())
        left = max(0.0, left - segment.duration_seconds)
    for line in playlist.last_signs:
        left = _after_cue(line, left)
    return out, left > 0


def _after_cue(line: str, left: float) -> float:  # noqa: PLR0911 - one for each tag
    """How many seconds of a break are left after a tag, when `left` seconds were left before it."""
    name, _, value = line.partition(":")
    found = {key.upper(): text for key, text in attributes(value).items()}
    if name == "#EXT-X-SCTE35":  # its own attributes say what it is
        if found.get("CUE-IN") == "YES":
            return 0.0
        if "CUE-OUT" not in found:
            return left
        name = "#EXT-X-CUE-OUT-CONT" if found["CUE-OUT"] == "CONT" else "#EXT-X-CUE-OUT"
    match name:
        case "#EXT-X-CUE-IN":
            return 0.0
        case "#EXT-X-CUE-OUT":
            return _seconds_of(found.get("DURATION", value)) or MAX_POD_SECONDS
        case "#EXT-X-CUE-SPAN":  # within a break, before each segment, without its length
            return max(left, 2 * _MIN_OVERLAP.total_seconds())
        case "#EXT-X-CUE-OUT-CONT":
            passed, _, whole = value.partition("/")  # `5.0/30.0`, or attributes
            length = _seconds_of(found.get("DURATION", whole))
            elapsed = _seconds_of(found.get("ELAPSEDTIME", found.get("ELAPSED", passed))) or 0.0
            return left or MAX_POD_SECONDS if length is None else max(0.0, length - elapsed)
        case _:
            return left


def _seconds_of(text: str) -> float | None:
    return seconds(text.strip(), most=MAX_POD_SECONDS)


def _comes_before_a_return(playlist: MediaPlaylist) -> int:
    """How many segments are listed before a CUE-IN whose CUE-OUT is no longer listed; 0 when there is none."""
    for number, segment in enumerate(playlist.segments):
        for line in segment.signs:
            if line.startswith("#EXT-X-CUE-OUT") or "CUE-OUT=" in line:
                return 0
            if line.startswith("#EXT-X-CUE-IN"):
                return number
    return 0


# --- Segments -----------------------------------------------------------------------------------------


def is_titled_ad(segment: Segment) -> bool:
    """Whether the title alone says that a segment is an ad."""
    return _AD_TITLE.fullmatch(segment.title) is not None or "amazon" in segment.title.lower()


def _is_titled_live(segment: Segment) -> bool:
    return segment.title.strip().lower() == LIVE_TITLE


def _overlapping(segment: Segment, ranges: Sequence[AdRange]) -> list[AdRange]:
    begins, ends = segment.started_at, segment.ended_at
    if begins is None or ends is None:
        return []
    return [each for each in ranges if each.overlaps(begins, ends)]


def verdicts(playlist: MediaPlaylist) -> tuple[Verdict, ...]:
    """What each segment holds; all but the newest `MAX_JUDGED` are doubtful."""
    skipped = max(0, len(playlist.segments) - MAX_JUDGED)
    segments = playlist.segments[skipped:]
    ranges = ad_ranges(playlist)
    cued_out, _ = _cued_out(playlist)
    uncertain_start = _comes_before_a_return(playlist)
    # Twitch lists no prefetch while ads run, so a window of nothing but `live` means that the range is too long.
    overlaps = [_overlapping(segment, ranges) for segment in segments]
    trusts_titles = bool(playlist.prefetch) and all(map(_is_titled_live, segments)) and all(overlaps)
    found = [Verdict.DOUBTFUL] * skipped
    seen_ad = returned = False
    broken_at: datetime | None = None
    for number, segment in enumerate(segments, skipped):
        titled_live = _is_titled_live(segment)
        if segment.discontinuity:
            said_live = any(line.startswith(_LIVE_SEQUENCE) for line in segment.signs)
            returned = titled_live and (seen_ad or said_live)
            broken_at = segment.started_at
        over = overlaps[number - skipped]
        if titled_live and returned and broken_at is not None:
            # The ads ended earlier than their range says; a range that begins here is of further ones.
            over = [each for each in over if each.starts_at >= broken_at - _MIN_OVERLAP]
        if is_titled_ad(segment) or cued_out[number]:
            verdict = Verdict.AD
        elif certain := [each for each in over if each.certain]:
            may_be_over = trusts_titles or all(each.may_end_at(broken_at) for each in certain)
            verdict = Verdict.DOUBTFUL if titled_live and may_be_over else Verdict.AD
        elif over or not titled_live or number < uncertain_start:
            verdict = Verdict.DOUBTFUL
        else:
            verdict = Verdict.CONTENT
        seen_ad = seen_ad or is_titled_ad(segment)
        found.append(verdict)
    return tuple(found)


def content_runs(playlist: MediaPlaylist) -> tuple[tuple[Segment, ...], ...]:
    """Runs of consecutive content segments, oldest first, split at ads and gaps.

    Doubtful segments count as content only where no run of `ENOUGH_SECONDS` is without doubt.
    """
    judged = verdicts(playlist)
    runs = _runs(playlist, judged, {Verdict.CONTENT})
    if Verdict.DOUBTFUL not in judged or any(_length(run) >= ENOUGH_SECONDS for run in runs):
        return runs
    return _runs(playlist, judged, {Verdict.CONTENT, Verdict.DOUBTFUL})


def _runs(
    playlist: MediaPlaylist, judged: Sequence[Verdict], wanted: set[Verdict]
) -> tuple[tuple[Segment, ...], ...]:
    runs: list[list[Segment]] = []
    previous: Segment | None = None
    for segment, verdict in zip(playlist.segments, judged, strict=True):
        if verdict not in wanted or segment.gap:
            previous = None
            continue
        if previous is not None and _follows(segment, previous):
            runs[-1].append(segment)
        else:
            runs.append([segment])
        previous = segment
    return tuple(tuple(run) for run in runs)


def _follows(segment: Segment, previous: Segment) -> bool:
    """Whether a segment's date is where the previous one ended, if both are known."""
    if segment.started_at is None or previous.ended_at is None:
        return True
    return abs(segment.started_at - previous.ended_at) <= _MAX_DATE_GAP


def _length(run: Sequence[Segment]) -> float:
    return sum(segment.duration_seconds for segment in run)


def ad_is_running(playlist: MediaPlaylist) -> bool:
    """Whether the newest segment is an ad."""
    return verdicts(playlist)[-1:] == (Verdict.AD,)


def ad_seconds_left(playlist: MediaPlaylist) -> float | None:
    """How long ads continue after the last listed segment, by the playlist's clock; None when unknown."""
    ads = [each for each in playlist.date_ranges if _is_ad_range(each)]
    listed_until = playlist.segments[-1].ended_at if playlist.segments else None
    if not ads or listed_until is None:
        return None
    first = min(ads, key=lambda ad: ad.started_at)
    pod = seconds(first.attributes.get(_POD_SECONDS, ""), most=MAX_POD_SECONDS)
    ends = [_end_of(each, playlist.date_ranges) for each in ads] + [later(first.started_at, pod or 0.0)]
    if None in ends[:-1]:
        return None
    return max(0.0, *((end - listed_until).total_seconds() for end in ends if end is not None))


# --- The segment that is being made -------------------------------------------------------------------


def next_content(playlist: MediaPlaylist) -> str | None:
    """The URI of the segment that is being produced, when it continues the content of the last listed segment.

    None when an ad is running, or anything announces one for that segment's time (its length is taken to be the
    last one's), or it comes from another host than the last segment.
    """
    if not playlist.prefetch or not playlist.segments or playlist.ended:
        return None
    last, uri = playlist.segments[-1], playlist.prefetch[0]
    judged = verdicts(playlist)
    if judged[-1] is Verdict.AD or (judged[-1] is Verdict.DOUBTFUL and Verdict.CONTENT in judged):
        return None
    begins = last.ended_at
    ends = None if begins is None else later(begins, last.duration_seconds)
    ranges = ad_ranges(playlist)
    if ranges and (begins is None or ends is None or any(each.touches(begins, ends) for each in ranges)):
        # A range that lies around content is too long; one that begins anew is not.
        return None
    _, cued_out = _cued_out(playlist)
    if cued_out or not _source_is_live(playlist) or _host(uri) != _host(last.uri):
        return None
    return uri


def _source_is_live(playlist: MediaPlaylist) -> bool:
    """What the newest date range about the stream's source says; true when there is none."""
    sources = [each for each in playlist.date_ranges if each.kind == "twitch-stream-source"]
    newest = max(sources, key=lambda each: each.started_at, default=None)
    return newest is None or newest.attributes.get("X-TV-TWITCH-STREAM-SOURCE", "live").lower() == LIVE_TITLE


def _host(uri: str) -> str | None:
    try:
        return read_address(uri, encoded=True).host
    except ValueError:
        return None


# --- What was never seen before -----------------------------------------------------------------------


def unknown_signs(playlist: MediaPlaylist) -> Iterator[tuple[str, str]]:
    """Kind and value of what a live playlist holds that Twitch was not known to send, each once.

    Kinds: `date-range-class`, `title`, `tag`.
    """
    kinds = {each.kind for each in playlist.date_ranges} - HARMLESS_CLASSES - RECORDED_AD_CLASSES
    yield from (("date-range-class", kind or "(none)") for kind in sorted(kinds))
    live = [segment for segment in playlist.segments if segment.started_at is not None]
    titles = {segment.title.strip() for segment in live if not is_titled_ad(segment)}
    yield from (("title", title or "(empty)") for title in sorted(titles) if title.lower() != LIVE_TITLE)
    lines = {line for segment in playlist.segments for line in segment.signs} | set(playlist.last_signs)
    tags = {line.partition(":")[0].lstrip("#") for line in lines if not line.startswith(_LIVE_SEQUENCE)}
    tags |= {name.lstrip("#") for name in playlist.unknown_tags}
    yield from (("tag", tag) for tag in sorted(tags))
