"""By what ads can be told from content in a live playlist: titles, date ranges and tags."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from simulator.clock import iso
from simulator.media import TICKS
from simulator.timeline import Piece, Pod

AD_SHAPES: Final = (
    "recorded",
    "no-duration",
    "other-class",
    "title-only",
    "range-only",
    "cue",
    "scte35",
    "untitled",
    "unknown-title",
)
"""`recorded` is what Twitch was seen to send. The others leave signs out, or use those that Twitch may come to."""

_CONTENT_TITLES: Final = ("range-only", "cue", "scte35")
_WITHOUT_RANGE: Final = ("title-only", "cue", "untitled", "unknown-title")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdSigns:
    """How a playlist tells ads and content apart.

    `overstated` is how much longer the date range says an ad is, in ticks. `unannounced`: the date range comes
    with the ad's first finished segment, not before. `content_title` is what content has for a title, and
    `date_range_class` the class of one more date range over the whole window; empty for none.
    """

    shape: str = "recorded"
    overstated: int = 0
    unannounced: bool = False
    content_title: str = "live"
    date_range_class: str = ""

    def title(self, pod: Pod | None) -> str:
        """The title of a segment of an ad break, or of content."""
        if pod is None or self.shape in _CONTENT_TITLES:
            return self.content_title
        match self.shape:
            case "untitled":
                return ""
            case "unknown-title":
                return f"Spot {_creative(pod)}"
            case _:
                return f"Amazon|{_creative(pod)}"

    def ranges(
        self, pods: Sequence[Pod], moment: Callable[[int], datetime], session: str, *, listed_until: int
    ) -> list[str]:
        """The date ranges of ad breaks; `listed_until` is the end of the last finished segment."""
        if self.shape in _WITHOUT_RANGE:
            return []
        announced = [pod for pod in pods if not (self.unannounced and pod.start >= listed_until)]
        return [self._range(pod, moment, session) for pod in announced]

    def _range(self, pod: Pod, moment: Callable[[int], datetime], session: str) -> str:
        start = f'START-DATE="{iso(moment(pod.start))}"'
        seconds = f"{(pod.end - pod.start + self.overstated) / TICKS:.3f}"
        match self.shape:
            case "scte35":
                splice = "SCTE35-OUT=0xFC302F000000000000FFF000140500000001"
                return f'#EXT-X-DATERANGE:ID="splice-{pod.start}",{start},PLANNED-DURATION={seconds},{splice}'
            case "other-class":
                kind = 'CLASS="twitch-stitched-commercial"'
                return f'#EXT-X-DATERANGE:ID="pod-{pod.start}",{kind},{start},DURATION={seconds}'
            case _:
                pass
        name = f'ID="stitched-ad-{pod.start}-{pod.roll.lower()}",CLASS="twitch-stitched-ad"'
        attributes = _attributes(pod, session)
        if self.shape != "no-duration":
            start += f",DURATION={seconds}"
            attributes["X-TV-TWITCH-AD-POD-FILLED-DURATION"] = seconds
        quoted = ",".join(f'{key}="{value}"' for key, value in attributes.items())
        return f"#EXT-X-DATERANGE:{name},{start},{quoted}"

    def cues(self, piece: Piece, previous: Piece | None) -> list[str]:
        """The tags before a segment that begin, continue and end a break; only the shape `cue` has any."""
        if self.shape != "cue":
            return []
        if piece.pod is None:
            return ["#EXT-X-CUE-IN"] if previous is not None and previous.pod is not None else []
        whole = (piece.pod.end - piece.pod.start + self.overstated) / TICKS
        passed = (piece.start - piece.pod.start) / TICKS
        return [f"#EXT-X-CUE-OUT-CONT:{passed:.3f}/{whole:.3f}" if passed else f"#EXT-X-CUE-OUT:{whole:.3f}"]


def _creative(pod: Pod) -> str:
    return str(900_000_000 + pod.start // TICKS)


def _attributes(pod: Pod, session: str) -> dict[str, str]:
    return {
        "X-TV-TWITCH-AD-URL": "https://ads.invalid/",
        "X-TV-TWITCH-AD-CLICK-TRACKING-URL": "https://ads.invalid/click",
        "X-TV-TWITCH-AD-ROLL-TYPE": pod.roll,
        "X-TV-TWITCH-AD-COMMERCIAL-ID": str(800_000_000 + pod.start // TICKS),
        "X-TV-TWITCH-AD-POD-LENGTH": "1",
        "X-TV-TWITCH-AD-POD-POSITION": "0",
        "X-TV-TWITCH-AD-AD-SESSION-ID": session,
        "X-TV-TWITCH-AD-ADVERTISER-ID": "4700000000001",
        "X-TV-TWITCH-AD-ORDER-ID": "4700000000002",
        "X-TV-TWITCH-AD-LINE-ITEM-ID": "4700000000003",
        "X-TV-TWITCH-AD-CREATIVE-ID": _creative(pod),
        "X-TV-TWITCH-AD-QUARTILE": "0",
        "X-TV-TWITCH-AD-RADS-TOKEN": "sim",
        "X-TV-TWITCH-AD-AD-FORMAT": "standard_video_ad",
    }
