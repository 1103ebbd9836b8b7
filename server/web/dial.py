"""The dial's picture: the landmarks that an answer was told by; before there is one, points as an example."""

from typing import Final

from fingerprint.domain.landmark_points import points_of_text
from server.web.answer import AnswerView

_TOP: Final = 12
_HEIGHT: Final = 52
"""Where on the dial the points are, in percent; the scale is below. js/receiver.js has the same."""

_LEAST_RADIUS: Final = 1.0
_MORE_RADIUS: Final = 1.5

Circles = tuple[tuple[float, float, float], ...]
"""Centers in percent of the dial's width and height, and radii in pixels."""

EXAMPLE: Final[Circles] = (
    (1.3, 38, 1.5),
    (4.0, 19, 1.5),
    (6.3, 46, 1.5),
    (8.2, 43, 2),
    (9.9, 50, 1.5),
    (11.6, 28, 1),
    (14.1, 40, 2),
    (15.1, 38, 1),
    (16.2, 18, 2),
    (16.8, 38, 1),
    (18.0, 29, 1),
    (18.7, 55, 2.5),
    (21.0, 23, 2.5),
    (23.1, 16, 2),
    (24.7, 51, 2),
    (25.6, 42, 1.5),
    (27.1, 41, 1.5),
    (26.8, 52, 1),
    (29.8, 58, 1.5),
    (30.2, 45, 2.5),
    (31.2, 23, 1.5),
    (31.7, 46, 1),
    (34.5, 48, 1.5),
    (33.6, 14, 1.5),
    (35.5, 16, 2),
    (37.9, 59, 2),
    (40.6, 21, 1.5),
    (43.0, 15, 1.5),
    (43.2, 24, 1.5),
    (43.8, 62, 2),
    (47.3, 50, 2),
    (48.3, 50, 2),
    (50.9, 51, 1),
    (53.6, 16, 1),
    (54.8, 47, 2.5),
    (55.2, 46, 2),
    (57.0, 52, 1),
    (57.0, 22, 1.5),
    (60.0, 21, 1.5),
    (61.6, 37, 1),
    (64.5, 27, 1),
    (64.6, 16, 2.5),
    (65.7, 41, 2),
    (67.7, 52, 1.5),
    (71.0, 23, 2),
    (72.0, 60, 2),
    (74.2, 42, 2.5),
    (75.1, 59, 2),
    (76.8, 37, 2),
    (76.5, 26, 1),
    (78.5, 27, 1),
    (81.4, 15, 1.5),
    (81.8, 47, 1),
    (83.8, 46, 2.5),
    (82.9, 28, 1.5),
    (85.4, 47, 1.5),
    (84.8, 53, 1.5),
    (88.1, 39, 1.5),
    (89.6, 49, 2),
    (90.6, 37, 1.5),
    (91.7, 36, 1.5),
    (92.3, 20, 1.5),
    (94.0, 51, 1.5),
    (96.0, 53, 2),
    (98.5, 58, 1.5),
    (99.0, 52, 2.5),
)
"""While there is no answer: what a fingerprint may look like."""


def dial_peaks(answer: AnswerView) -> Circles:
    """The landmarks of an answer, the lower ones larger; the example while there is none."""
    if answer.state != "found":
        return EXAMPLE
    return tuple(
        (
            round(100 * when, 1),
            round(_TOP + _HEIGHT * (1.0 - height), 1),
            round(_LEAST_RADIUS + _MORE_RADIUS * (1.0 - height), 1),
        )
        for when, height in points_of_text(answer.landmarks)
    )
