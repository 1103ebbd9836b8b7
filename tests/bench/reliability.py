"""Is a confidence a probability? What was said, and how often it was right, as a table and as a picture."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from server.cli.svg import BLUE, GRAY, ORANGE, WHITE, Point, Svg
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


def reliability(corpus: Corpus, outcome: Outcome, *, seconds: float | None = None) -> list[Bin]:
    """How often the likeliest track is right, by the probability that was said; negatives are never right.

    `seconds`: of clips of one length only.
    """
    asked = [query for query in corpus.queries if seconds is None or query.duration == seconds]
    return bins([(outcome.said[q.file].score, outcome.said[q.file].track_id in q.accept) for q in asked])


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


def draw(found: Sequence[Bin], *, heading: str) -> Svg:
    """The picture: said to the right, right upwards; a dot for each bin, with the range that chance allows it."""
    svg = Svg(_LEFT + _SIDE + 60, _TOP + _SIDE + 90)

    def place(said: float, right: float) -> Point:
        return _LEFT + said * _SIDE, _TOP + (1 - right) * _SIDE

    svg.text(20, 34, heading)
    svg.text(20, 62, "dots: clips by what was said; bars: what chance allows (2 sd)", GRAY)
    svg.outline(_LEFT, _TOP, _SIDE, _SIDE, GRAY)
    for tenth in range(0, 11, 2):
        x, y = place(tenth / 10, tenth / 10)
        svg.text(x, _TOP + _SIDE + 24, f"{tenth / 10:.1f}", GRAY, anchor="middle")
        svg.text(_LEFT - 10, y + 5, f"{tenth / 10:.1f}", GRAY, anchor="end")
        grid = [((x, float(_TOP)), (x, float(_TOP + _SIDE))), ((float(_LEFT), y), (float(_LEFT + _SIDE), y))]
        svg.lines(grid, GRAY, opacity=0.2)
    svg.text(_LEFT + _SIDE / 2, _TOP + _SIDE + 56, "confidence said", anchor="middle")
    svg.text(16, _TOP + 20, "right")
    svg.lines([(place(0, 0), place(1, 1))], WHITE, opacity=0.5)
    for part in found:
        low, high = max(0.0, part.said - 2 * part.deviation), min(1.0, part.said + 2 * part.deviation)
        svg.lines([(place(part.said, low), place(part.said, high))], BLUE)
        x, y = place(part.said, part.right)
        svg.dots([(x, y)], 4, ORANGE)
        fits = x < _LEFT + _SIDE - 80
        svg.text(x + (10 if fits else -10), y + 5, str(part.clips), ORANGE, anchor="start" if fits else "end")
    return svg
