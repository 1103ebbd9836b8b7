"""Writes live playlists, segment by segment."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fingerprint.hls.playlist import MediaPlaylist, parse_media

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Builder:
    """Writes a live playlist, two seconds a segment."""

    lines: list[str] = field(default_factory=lambda: ["#EXTM3U", "#EXT-X-MEDIA-SEQUENCE:100"])
    now: datetime = START
    dated: bool = True

    def segment(self, title: str = "live", seconds: float = 2.0) -> "Builder":
        if self.dated:
            self.lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{stamp(self.now)}")
        self.lines += [f"#EXTINF:{seconds:.3f},{title}", f"{len(self.lines)}.ts"]
        self.now += timedelta(seconds=seconds)
        return self

    def segments(self, count: int, title: str = "live") -> "Builder":
        for _ in range(count):
            self.segment(title)
        return self

    def ad_range(
        self, seconds: float, *, start: datetime | None = None, more: str = "", kind: str = "twitch-stitched-ad"
    ) -> "Builder":
        self.lines.append(
            f'#EXT-X-DATERANGE:ID="stitched-ad-{len(self.lines)}",CLASS="{kind}",'
            f'START-DATE="{stamp(start or self.now)}",DURATION={seconds}{more}'
        )
        return self

    def line(self, text: str) -> "Builder":
        self.lines.append(text)
        return self

    def playlist(self) -> MediaPlaylist:
        return parse_media("\n".join(self.lines))
