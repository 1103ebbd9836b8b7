"""Is a confidence a probability? What was said, and how often it was right, as a table and as a picture."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from server.cli.canvas import BLUE, GRAY, ORANGE, WHITE, Canvas, text_width
from tests.bench.corpus import Corpus, Outcome

EDGES: Final = (0.0, 0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99, 1.0001)
_SIDE: Final = 600
_LEFT: Final = 110
_TOP: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Clips of which about the same confidence was said. `right`: the share of them of which that was true."""

    low: float
    high: float
    clips: int
    said: float
    right: float

    @property
    def deviation(self) -> float:
        """The standard deviation that `right` has by chance, if what was said is true."""
        return (self.said * (1 - self.said) / self.clips) ** 0.5


def reliability(corpus: Corpus, outcome: Outcome) -> list[Bin]:
    """How often the likeliest track is right, by the probability that was said; negatives are never right."""
    return bins([(outcome.said[q.file].score, outcome.said[q.file].track_id in q.accept) for q in corpus.queries])


def bins(answers: Sequence[tuple[float, bool]]) -> list[Bin]:
    """Answers (what was said, and whether it was right) by what was said."""
    found: list[Bin] = []
    for low, high in itertools.pairwise(EDGES):
        own = [(said, right) for said, right in answers if low <= said < high]
        if own:
            found.append(
                Bin(
                    low=low,
                    high=min(high, 1.0),
                    clips=len(own),
                    said=sum(said for said, _ in own) / len(own),
                    right=sum(right for _, right in own) / len(own),
                )
            )
    return found


def table(found: Sequence[Bin]) -> list[dict[str, object]]:
    """For people."""
    return [
        {
            "said": f"{part.low:.2f} to {part.high:.2f}",
            "clips": part.clips,
            "mean said": f"{part.said:.2f}",
            "right": f"{part.right:.2f}",
        }
        for part in found
    ]


def draw(found: Sequence[Bin], *, heading: str) -> Canvas:
    """The picture: said to the right, right upwards; a dot for each bin, with the range that chance allows it."""
    canvas = Canvas(_LEFT + _SIDE + 60, _TOP + _SIDE + 90)

    def place(said: float, right: float) -> tuple[float, float]:
        return _LEFT + said * _SIDE, _TOP + (1 - right) * _SIDE

    canvas.text(20, 20, heading, WHITE)
    canvas.text(20, 50, "dots: clips by what was said; bars: what chance allows (2 sd)", GRAY)
    canvas.frame(_LEFT, _TOP, _SIDE, _SIDE, GRAY)
    for tenth in range(0, 11, 2):
        x, y = place(tenth / 10, tenth / 10)
        canvas.text(x - text_width("0.0") / 2, _TOP + _SIDE + 12, f"{tenth / 10:.1f}", GRAY)
        canvas.text(_LEFT - 10 - text_width("0.0"), y - 7, f"{tenth / 10:.1f}", GRAY)
        canvas.line((x, _TOP), (x, _TOP + _SIDE), GRAY, 0.2)
        canvas.line((_LEFT, y), (_LEFT + _SIDE, y), GRAY, 0.2)
    canvas.text(_LEFT + _SIDE / 2 - text_width("confidence said") / 2, _TOP + _SIDE + 44, "confidence said", WHITE)
    canvas.text(16, _TOP + 8, "right", WHITE)
    canvas.line(place(0, 0), place(1, 1), WHITE, 0.5)
    for part in found:
        low, high = max(0.0, part.said - 2 * part.deviation), min(1.0, part.said + 2 * part.deviation)
        canvas.line(place(part.said, low), place(part.said, high), BLUE)
        x, y = place(part.said, part.right)
        canvas.dot(x, y, 4, ORANGE)
        label = str(part.clips)
        beside = 10 if x < _LEFT + _SIDE - 80 else -10 - text_width(label)
        canvas.text(x + beside, y - 7, label, ORANGE)
    return canvas
