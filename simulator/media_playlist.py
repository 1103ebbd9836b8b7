"""Writes media playlists, with Twitch's own tags in the order in which they were recorded."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from simulator.ad_signs import AdSigns
from simulator.clock import iso
from simulator.disorder import MediaSwitches
from simulator.media import TICKS
from simulator.timeline import Piece, Pod


def live_playlist(
    listed: Sequence[Piece],
    upcoming: Sequence[Piece],
    *,
    address: Callable[[Piece], str],
    moment: Callable[[int], datetime],
    grid: int,
    now: int,
    pods: Sequence[Pod],
    session: str,
    signs: AdSigns,
    media: MediaSwitches,
    init_address: Callable[[int], str] | None = None,
    sequence_offset: int = 0,
    discontinuity_every: int = 0,
    ended: bool = False,
    date: Callable[[Piece], datetime] | None = None,
    dates: str = "listed",
) -> str:
    """A live media playlist. Positions are in ticks of the broadcast; `init_address` is for fMP4 segments.

    `moment` gives the date of a position, `date` that of a segment, and `init_address` the address of an init
    section by its number. `dates`: which segments have theirs, see `ChannelSwitches`.
    """
    target = max(6 if grid > 2 * TICKS else 5, -(-grid // TICKS))
    first = listed[0].sequence if listed else 0
    running = listed[-1].pod if listed else None
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{6 if init_address else 3}",
        f"#EXT-X-TARGETDURATION:{target}",
        f"#EXT-X-MEDIA-SEQUENCE:{first + sequence_offset}",
    ]
    if running is None and listed:
        lines.append(f"#EXT-X-TWITCH-LIVE-SEQUENCE:{first + sequence_offset}")
    elapsed = (listed[0].start if listed else now) / TICKS
    total = (max((piece.end for piece in upcoming), default=now)) / TICKS
    lines += [f"#EXT-X-TWITCH-ELAPSED-SECS:{elapsed:.3f}", f"#EXT-X-TWITCH-TOTAL-SECS:{total:.3f}"]
    lines += _date_ranges(listed, moment, now, session, running)
    horizon = listed[0].start if listed else now
    near = [pod for pod in pods if pod.end + signs.overstated > horizon and pod.start <= now + 2 * grid]
    lines += signs.ranges(near, moment, session, listed_until=listed[-1].end if listed else now)
    if signs.date_range_class:
        seconds = (now + 2 * grid - horizon) / TICKS
        name = f'ID="more-{horizon}",CLASS="{signs.date_range_class}"'
        lines.append(f'#EXT-X-DATERANGE:{name},START-DATE="{iso(moment(horizon))}",DURATION={seconds:.3f}')
    init: str | None = None
    before: Piece | None = None
    for piece in listed:
        changed = before is not None and before.pod != piece.pod
        spurious = discontinuity_every and piece.sequence % discontinuity_every == 0
        if changed or (before is not None and (spurious or media.discontinuity(piece.sequence))):
            lines.append("#EXT-X-DISCONTINUITY")
            if changed and piece.pod is None:
                lines.append(f"#EXT-X-TWITCH-LIVE-SEQUENCE:{piece.sequence + sequence_offset}")
        if init_address is not None and init != (init := init_address(media.init_number(piece.sequence))):
            lines.append(f'#EXT-X-MAP:URI="{init}"')
        lines += signs.cues(piece, before)
        if piece.pod is None:
            lines += media.tags(piece.sequence, None if before is None or before.pod else before.sequence)
        if dates == "listed" or (dates == "first" and before is None):
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{iso(date(piece) if date else moment(piece.start))}")
        lines += [
            f"#EXTINF:{media.duration_text(piece.end - piece.start)},{signs.title(piece.pod)}",
            address(piece),
        ]
        before = piece
    if ended:
        lines.append("#EXT-X-ENDLIST")
    elif running is None:
        lines += [f"#EXT-X-TWITCH-PREFETCH:{address(piece)}" for piece in upcoming]
    return "\n".join(lines) + "\n"


def video_playlist(
    segments: Sequence[tuple[str, int]],
    *,
    lengths: Sequence[int] = (),
    created_at: datetime,
    recording: bool,
    media: MediaSwitches,
    init_address: Callable[[int], str] | None = None,
) -> str:
    """A VOD's media playlist; `segments` are pairs of address and ticks, `init_address` as for `live_playlist`.

    `lengths`: of segments that are byte ranges, one after the other (RFC 8216, 4.3.2.2).
    """
    total = sum(ticks for _, ticks in segments) / TICKS
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{6 if init_address else 3}",
        f"#EXT-X-TARGETDURATION:{max(10, -(-max((ticks for _, ticks in segments), default=0) // TICKS))}",
        f"#ID3-EQUIV-TDTG:{iso(created_at + timedelta(seconds=total))}",
        "#EXT-X-PLAYLIST-TYPE:EVENT",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-TWITCH-ELAPSED-SECS:0.000",
        f"#EXT-X-TWITCH-TOTAL-SECS:{total:.3f}",
    ]
    init: str | None = None
    for number, (address, ticks) in enumerate(segments):
        if media.discontinuity(number):
            lines.append("#EXT-X-DISCONTINUITY")
        if init_address is not None and init != (init := init_address(media.init_number(number))):
            lines.append(f'#EXT-X-MAP:URI="{init}"')
        lines += media.tags(number, number - 1 if number else None)
        if lengths:  # without an offset, a range begins where the one before it has ended
            lines.append(f"#EXT-X-BYTERANGE:{lengths[number]}" + ("" if number else "@0"))
        lines += [f"#EXTINF:{media.duration_text(ticks)},", address]
    if not recording:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def _date_ranges(
    listed: Sequence[Piece], moment: Callable[[int], datetime], now: int, session: str, running: Pod | None
) -> list[str]:
    """The date ranges of a playlist, with those of ads."""
    start = iso(moment(listed[0].start if listed else now))
    stamp = int(moment(now).timestamp())

    def line(name: str, kind: str, *attributes: str) -> str:
        return f'#EXT-X-DATERANGE:ID="{name}",CLASS="{kind}",START-DATE="{start}",END-ON-NEXT=YES,' + ",".join(
            attributes
        )

    source = "live" if running is None else "Amazon"
    return [
        line(f"source-{stamp}", "twitch-stream-source", f'X-TV-TWITCH-STREAM-SOURCE="{source}"'),
        line(
            f"playlist-session-{stamp}",
            "twitch-session",
            f'X-TV-TWITCH-SESSIONID="{session}"',
        ),
        line(
            f"playlist-creation-{stamp}",
            "twitch-assignment",
            f'X-TV-TWITCH-SERVING-ID="{session * 2}"',
            'X-TV-TWITCH-NODE="video-edge-sim.local"',
            'X-TV-TWITCH-CLUSTER="sim01"',
        ),
        line(f"timestamp-{stamp}", "timestamp", f'X-SERVER-TIME="{moment(now).timestamp():.3f}"'),
        line(
            f"trigger-{stamp}",
            "twitch-trigger",
            'X-TV-TWITCH-TRIGGER-URL="https://video-weaver.invalid/trigger/a"',
        ),
    ]
