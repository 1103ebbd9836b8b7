"""The picture of `identify --explain`: a spectrogram with its landmarks, and the offset histogram."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.confidence import THRESHOLD
from fingerprint.catalog.explain import Explanation, explain
from fingerprint.catalog.identify import SHORT_SECONDS, WINDOW_SECONDS, identify, prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.tracks import Track
from fingerprint.domain.audio import Pcm
from fingerprint.domain.problems import invalid_input
from fingerprint.media.decode import decode_blocks
from server.cli.canvas import BLUE, GRAY, ORANGE, WHITE, Canvas, Color, shortened, text_width

WIDTH: Final = 1440
HEIGHT: Final = 1000
_LEFT: Final = 90
SPECTROGRAM: Final = (_LEFT, 110, WIDTH - _LEFT - 30, 500)
HISTOGRAM: Final = (_LEFT, 690, 780, 240)
RIVALS: Final = (930, 690, WIDTH - 930 - 30, 240)
"""Left edge, upper edge, width and height of the three parts."""

MAX_SECONDS: Final = 3600.0
"""Of a longer file, only the first hour is read."""

FAINT_LINES: Final = 1500
"""Landmarks without a match that are drawn at most; more would hide the spectrogram."""

_RANGE: Final = 7.5
"""The natural logarithms that the spectrogram's shades span (65 dB)."""


def draw_explanation(file: Path, catalog: Path, picture: Path) -> str:
    """Write the picture for a file as PNG, and say in one sentence what it shows.

    Of a file longer than `SHORT_SECONDS`, it shows the window of the surest match. Raises TwitchAudioError for a
    file without sound, or when the picture cannot be written, and CatalogError.
    """
    pcm = _read(file)
    snapshot = Catalog(catalog).snapshot()
    start = 0.0
    if pcm.duration_seconds > SHORT_SECONDS:
        findings = identify(snapshot, prepare(pcm))
        start = min(findings[0].position_seconds if findings else 0.0, pcm.duration_seconds - WINDOW_SECONDS)
        pcm = pcm.cut(start, WINDOW_SECONDS)
    try:
        found = explain(snapshot, pcm)
    except ValueError as error:
        raise invalid_input(f"{file} cannot be explained: {error}.") from error
    canvas = draw(found, heading=_heading(file, start, pcm.duration_seconds))
    try:
        picture.write_bytes(canvas.png())
    except OSError as error:
        raise invalid_input(f"The picture {picture} cannot be written: {error.strerror}.") from error
    return f"{picture}: {len(found.matching)} of {len(found.landmarks)} landmarks match. {_verdict(found)}"


def _read(file: Path) -> Pcm:
    blocks: list[NDArray[np.float32]] = []
    seconds = 0.0
    for block in decode_blocks(file):
        blocks.append(block.samples)
        seconds += block.duration_seconds
        if seconds >= MAX_SECONDS:
            break
    return Pcm(np.ascontiguousarray(np.concatenate(blocks, axis=1)))


def _heading(file: Path, start: float, seconds: float) -> str:
    return f"{file.name}, {start:.1f} to {start + seconds:.1f} s"


def _verdict(found: Explanation) -> str:
    if found.examined is None:
        return "No track shares a landmark with it."
    finding = found.examined.finding
    known = "It is" if finding.confidence >= THRESHOLD else f"No match (below {THRESHOLD:.0%}); the likeliest is"
    speed = "" if abs(finding.speed - 1) < 0.002 else f", {finding.speed:.3f} times as fast"
    return (
        f"{known} {_title(finding.track)}, {finding.confidence:.1%} sure, {finding.offset_seconds:.2f} s in{speed}"
    )


def _title(track: Track) -> str:
    return f"{', '.join(track.artists)} - {track.title}" if track.artists else track.title


# --- The picture --------------------------------------------------------------------------------------


def draw(found: Explanation, *, heading: str) -> Canvas:
    """The picture of an explanation."""
    canvas = Canvas(WIDTH, HEIGHT)
    canvas.text(_LEFT, 20, shortened(heading, WIDTH - _LEFT - 30, 3), WHITE, 3)
    canvas.text(_LEFT, 56, shortened(_verdict(found), WIDTH - _LEFT - 30), ORANGE)
    _draw_spectrogram(canvas, found)
    _draw_histogram(canvas, found)
    _draw_rivals(canvas, found)
    return canvas


def _draw_spectrogram(canvas: Canvas, found: Explanation) -> None:
    left, top, width, height = SPECTROGRAM
    steps, bins = found.levels.shape
    seconds, hertz = steps * found.step_seconds, bins * found.bin_hertz
    rows = np.arange(height)[::-1] * bins // height
    columns = np.arange(width) * steps // width
    canvas.image(left, top, _shades(found.levels[np.ix_(columns, rows)].T))
    canvas.frame(left, top, width, height, GRAY)

    def place(second: float, frequency: float) -> tuple[float, float]:
        x = left + min(max(second / seconds, 0.0), 1.0) * (width - 1)
        return x, top + height - 1 - min(max(frequency / hertz, 0.0), 1.0) * (height - 1)

    matching = np.zeros(len(found.landmarks), np.bool_)
    matching[found.matching] = True
    others = np.flatnonzero(~matching)
    thinned = others[:: max(1, -(-len(others) // FAINT_LINES))]
    for chosen, color, opacity in ((thinned, BLUE, 0.25), (found.matching, ORANGE, 0.9)):
        lines = found.landmarks[chosen]
        for number in range(len(lines)):
            canvas.line(
                place(lines.from_seconds[number], lines.from_hertz[number]),
                place(lines.to_seconds[number], lines.to_hertz[number]),
                color,
                opacity,
            )
    for second, frequency in found.peaks:
        canvas.dot(*place(second, frequency), 0, WHITE)
    matched = found.landmarks[found.matching]
    for number in range(len(matched)):
        canvas.dot(*place(matched.from_seconds[number], matched.from_hertz[number]), 1, ORANGE)
    for kilohertz in range(0, int(hertz / 1000) + 1, 2):
        _, y = place(0.0, kilohertz * 1000.0)
        _label_left(canvas, y, f"{kilohertz} kHz")
    for second in _ticks(seconds):
        x, _ = place(second, 0.0)
        canvas.text(x - text_width(f"{second:g} s") / 2, top + height + 14, f"{second:g} s", GRAY)
    legend = ((f"matching landmarks: {len(found.matching)}", ORANGE), (f"other landmarks: {len(others)}", BLUE))
    x = float(left)
    for text, color in (*legend, (f"peaks: {len(found.peaks)}", WHITE)):
        canvas.rectangle(x, 88, 12, 12, color)
        canvas.text(x + 20, 87, text, GRAY)
        x += 60 + text_width(text)


def _shades(levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Dark blue to light violet by loudness; the range ends at the loudest."""
    loud = (np.clip((levels - levels.max()) / _RANGE, -1, 0) + 1)[..., np.newaxis]
    scale = np.array([[14, 16, 26], [46, 40, 96], [120, 70, 150], [214, 190, 214]], np.float64)
    position = loud * (len(scale) - 1)
    lower = np.minimum(position.astype(np.int64)[..., 0], len(scale) - 2)
    share = position - lower[..., np.newaxis]
    return np.rint(scale[lower] * (1 - share) + scale[lower + 1] * share).astype(np.uint8)


def _draw_histogram(canvas: Canvas, found: Explanation) -> None:
    left, top, width, height = HISTOGRAM
    canvas.frame(left, top, width, height, GRAY)
    if found.examined is None:
        canvas.text(left, top - 24, "No track to compare with", GRAY)
        return
    canvas.text(left, top - 24, "Votes for each offset into the track, in seconds", GRAY)
    first = min(0.0, float(found.offsets_seconds.min()))
    last = max(float(found.offsets_seconds.max()), found.examined.finding.track.duration_seconds, first + 1)
    highest = float(found.votes.max())
    # The highest vote of the offsets that share a column.
    columns = ((found.offsets_seconds - first) / (last - first) * (width - 1)).astype(np.int64)
    bars = np.zeros(width)
    np.maximum.at(bars, np.clip(columns, 0, width - 1), found.votes)
    for column in np.flatnonzero(bars):
        high = bars[column] / highest * (height - 20)
        canvas.rectangle(left + int(column), top + height - high, 0, high, BLUE)
    column = round((found.offset_seconds - first) / (last - first) * (width - 1))
    votes = found.examined.candidate.votes
    high = votes / highest * (height - 20)
    canvas.rectangle(left + column - 1, top + height - high, 3, high, ORANGE)
    label = f"{found.offset_seconds:.2f} s: {votes:.0f}"
    x = left + column + 8 if column < width - 20 - text_width(label) else left + column - 8 - text_width(label)
    canvas.text(x, top + 3, label, ORANGE)  # above all bars: the answer's need not be the highest
    for second in _ticks(last):
        canvas.text(
            left + (second - first) / (last - first) * (width - 1) - text_width(f"{second:g}") / 2,
            top + height + 10,
            f"{second:g}",
            GRAY,
        )
    _label_left(canvas, top + 20, f"{highest:.0f}")
    _label_left(canvas, top + height, "0")


def _draw_rivals(canvas: Canvas, found: Explanation) -> None:
    left, top, width, height = RIVALS
    canvas.text(left, top - 24, "The tracks with most votes", GRAY)
    highest = max((candidate.votes for candidate in found.candidates), default=1.0)
    row = height // 10
    for number, candidate in enumerate(found.candidates):
        color: Color = ORANGE if candidate.chosen else BLUE
        y = top + number * row
        canvas.rectangle(left, y, candidate.votes / highest * width, 3, color)
        votes = f"{candidate.votes:.0f} "
        canvas.text(left, y + 6, votes, color)
        room = width - text_width(votes)
        canvas.text(left + text_width(votes), y + 6, shortened(_title(candidate.track), room), WHITE)


def _label_left(canvas: Canvas, y: float, text: str) -> None:
    canvas.text(_LEFT - 8 - text_width(text), y - 7, text, GRAY)


def _ticks(length: float) -> Sequence[float]:
    """At most ten round numbers from 0 to a length."""
    step = next(
        step for power in range(9) for step in (10**power, 2 * 10**power, 5 * 10**power) if length / step <= 10
    )
    return [number * float(step) for number in range(int(length / step) + 1)]
