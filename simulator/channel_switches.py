"""What can be switched on and off at a simulated channel."""

from dataclasses import dataclass
from typing import Final

from simulator.ad_signs import AD_SHAPES
from simulator.disorder import MediaSwitches
from simulator.switches import check_shape

DATES: Final = ("listed", "first", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSwitches(MediaSwitches):
    """The behavior of a channel; `Channel.configure` changes it at any time.

    `segment_seconds`: Twitch was observed to use 2.0 and 4.167. `date_drift`: how many seconds the dates of a
    playlist get ahead of the sound in each minute of the broadcast. `dates`: which segments have one: all
    (`listed`), the `first` of the playlist, or `none`. `date_jumps_every`: so many segments long, in turns, they
    are right and `date_jump_seconds` ahead. `recorded`: there is a VOD of the broadcast, which is
    `record_lag_seconds` behind it; `recording_muted`: without any sound.
    """

    segment_seconds: float = 2.0
    date_drift: float = 0.0
    dates: str = "listed"
    date_jumps_every: int = 0
    date_jump_seconds: float = 60.0
    recorded: bool = True
    record_lag_seconds: float = 10.0
    recording_muted: bool = False
    offline: bool = False
    missing: bool = False
    subscriber_only: bool = False
    geoblocked: bool = False
    stalled: bool = False
    ended: bool = False
    end_list_seconds: float = 30.0
    preroll_seconds: float = 0.0
    ad_shape: str = "recorded"
    ad_overstated_seconds: float = 0.0
    ad_unannounced: bool = False
    content_title: str = "live"
    date_range_class: str = ""
    window_segments: int = 15
    prefetch: bool = True
    audio: str = "listed"
    audio_with_video: bool = False
    token_names: str = "token"  # noqa: S105 - the name of a parameter
    sequence_offset: int = 0
    discontinuity_every: int = 0
    portrait: bool = False
    session_data: bool = False
    enhanced: bool = False
    hevc_alone: bool = False

    def check(self) -> None:
        self.check_media()
        self._check_dates()
        if not 0 <= self.record_lag_seconds <= 600:
            raise ValueError("record_lag_seconds must be 0..600")
        if not 1 <= self.window_segments <= 60:
            raise ValueError("window_segments must be 1..60")
        check_shape(self.audio, self.token_names)
        if self.ad_shape not in AD_SHAPES:
            raise ValueError(f"ad_shape must be one of {', '.join(AD_SHAPES)}")
        if not 0 <= self.ad_overstated_seconds <= 600:
            raise ValueError("ad_overstated_seconds must be 0..600")
        for name, text in (("content_title", self.content_title), ("date_range_class", self.date_range_class)):
            if len(text) > 200 or not text.isprintable() or '"' in text:
                raise ValueError(f"{name} takes up to 200 printable characters without quotes")
        if not 0 <= self.preroll_seconds <= 600:
            raise ValueError("preroll_seconds must be 0..600")
        if not 0 <= self.discontinuity_every <= 60:
            raise ValueError("discontinuity_every must be 0..60")
        if not 0 <= self.end_list_seconds <= 3600:
            raise ValueError("end_list_seconds must be 0..3600")

    def _check_dates(self) -> None:
        if not -1 <= self.date_drift <= 1:
            raise ValueError("date_drift must be -1..1")
        if self.dates not in DATES:
            raise ValueError(f"dates must be one of {', '.join(DATES)}")
        if not 0 <= self.date_jumps_every <= 10_000:
            raise ValueError("date_jumps_every must be 0..10000")
        if not -3600 <= self.date_jump_seconds <= 3600:
            raise ValueError("date_jump_seconds must be -3600..3600")
