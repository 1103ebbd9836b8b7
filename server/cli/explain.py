"""The picture of `identify --explain`: a spectrogram with its landmarks, and the offset histogram."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.confidence import WHOLE_THRESHOLD
from fingerprint.catalog.explain import Explanation, explain
from fingerprint.catalog.identify import SHORT_SECONDS, WINDOW_SECONDS, identify, prepare
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.tracks import Track
from fingerprint.domain.audio import Pcm
from fingerprint.domain.problems import invalid_input
from fingerprint.media.decoder import DecoderPool
from server.cli.svg import BLUE, GRAY, ORANGE, WHITE, Point, Svg, shortened, text_width

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

SHADES: Final = 24
"""How many colors the spectrogram has, from dark blue to light violet."""

CELLS: Final = (330, 125)
"""How many columns and rows the spectrogram has at most."""

_RANGE: Final = 7.5
"""The natural logarithms that the spectrogram's shades span (65 dB)."""


def draw_explanation(file: Path, catalog: Path, picture: Path) -> str:
    """Write the picture for a file as SVG, and say in one sentence what it shows.

    Of a file longer than `SHORT_SECONDS`, it shows the window of the surest match. Raises TwitchAudioError for a
    file without sound, or when the picture cannot be written, and CatalogError.
    """
    pcm = asyncio.run(_decode(file))
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
    svg = draw(found, heading=_heading(file, start, pcm.duration_seconds))
    try:
        picture.write_text(svg.document(), encoding="utf-8")
    except OSError as error:
        raise invalid_input(f"The picture {picture} cannot be written: {error.strerror}.") from error
    return f"{picture}: {len(found.matching)} of {len(found.landmarks)} landmarks match. {_verdict(found)}"


async def _decode(file: Path) -> Pcm:
    async with DecoderPool(workers=1) as decoder:
        return (await decoder.decode_file(file, max_seconds=MAX_SECONDS)).pcm


def _heading(file: Path, start: float, seconds: float) -> str:
    return f"{file.name}, {start:.1f} to {start + seconds:.1f} s"


def _verdict(found: Explanation) -> str:
    if found.examined is None:
        return "No track shares a landmark with it."
    finding = found.examined.finding
    known = (
        "It is"
        if finding.confidence >= WHOLE_THRESHOLD
        else f"No match (below {WHOLE_THRESHOLD:.0%}); the likeliest is"
    )
    speed = "" if abs(finding.speed - 1) < 0.002 else f", {finding.speed:.3f} times as fast"
    return (
        f"{known} {_title(finding.track)}, {finding.confidence:.1%} sure, {finding.offset_seconds:.2f} s in{speed}"
    )


def _title(track: Track) -> str:
    return f"{', '.join(track.artists)} - {track.title}" if track.artists else track.title


# --- The picture --------------------------------------------------------------------------------------


def draw(found: Explanation, *, heading: str) -> Svg:
    """The picture of an explanation."""
    svg = Svg(WIDTH, HEIGHT)
    svg.text(_LEFT, 40, shortened(heading, WIDTH - _LEFT - 30, 22), size=22)
    svg.text(_LEFT, 70, shortened(_verdict(found), WIDTH - _LEFT - 30), ORANGE)
    _draw_spectrogram(svg, found)
    _draw_histogram(svg, found)
    _draw_rivals(svg, found)
    return svg


def _draw_spectrogram(svg: Svg, found: Explanation) -> None:
    left, top, width, height = SPECTROGRAM
    steps, bins = found.levels.shape
    seconds, hertz = steps * found.step_seconds, bins * found.bin_hertz
    for color, lines, line_width in _shaded_cells(found.levels):
        svg.lines(lines, color, width=line_width)
    svg.outline(left, top, width, height, GRAY)

    def place(second: float, frequency: float) -> Point:
        x = left + min(max(second / seconds, 0.0), 1.0) * width
        return x, top + height - min(max(frequency / hertz, 0.0), 1.0) * height

    matching = np.zeros(len(found.landmarks), np.bool_)
    matching[found.matching] = True
    others = np.flatnonzero(~matching)
    thinned = others[:: max(1, -(-len(others) // FAINT_LINES))]
    for chosen, color, opacity in ((thinned, BLUE, 0.25), (found.matching, ORANGE, 0.9)):
        each = found.landmarks[chosen]
        starts = zip(each.from_seconds.tolist(), each.from_hertz.tolist(), strict=True)
        ends = zip(each.to_seconds.tolist(), each.to_hertz.tolist(), strict=True)
        svg.lines(
            ((place(*start), place(*end)) for start, end in zip(starts, ends, strict=True)), color, opacity=opacity
        )
    svg.dots((place(second, frequency) for second, frequency in found.peaks.tolist()), 0.5, WHITE)
    matched = found.landmarks[found.matching]
    anchors = zip(matched.from_seconds.tolist(), matched.from_hertz.tolist(), strict=True)
    svg.dots((place(*anchor) for anchor in anchors), 1.5, ORANGE)
    for kilohertz in range(0, int(hertz / 1000) + 1, 2):
        _, y = place(0.0, kilohertz * 1000.0)
        _label_left(svg, y, f"{kilohertz} kHz")
    for second in _ticks(seconds):
        svg.text(place(second, 0.0)[0], top + height + 24, f"{second:g} s", GRAY, anchor="middle")
    legend = ((f"matching landmarks: {len(found.matching)}", ORANGE), (f"other landmarks: {len(others)}", BLUE))
    x = float(left)
    for text, color in (*legend, (f"peaks: {len(found.peaks)}", WHITE)):
        svg.rectangle(x, 88, 12, 12, color)
        svg.text(x + 20, 99, text, GRAY)
        x += 60 + text_width(text)


def _shaded_cells(levels: NDArray[np.float32]) -> Iterator[tuple[str, list[tuple[Point, Point]], float]]:
    """The spectrogram as horizontal lines, for each color those that have it, and how wide they are.

    Dark blue to light violet by loudness; the range ends at the loudest.
    """
    left, top, width, height = SPECTROGRAM
    steps, bins = levels.shape
    columns, rows = min(CELLS[0], steps), min(CELLS[1], bins)
    cells = levels[np.ix_(np.arange(columns) * steps // columns, np.arange(rows)[::-1] * bins // rows)].T
    loud = np.clip((cells - levels.max()) / _RANGE, -1, 0) + 1
    shades = np.rint(loud * (SHADES - 1)).astype(np.int64)
    runs: list[list[tuple[Point, Point]]] = [[] for _ in range(SHADES)]
    for row, values in enumerate(shades):
        edges = np.flatnonzero(np.r_[True, values[1:] != values[:-1], True])
        y = top + (row + 0.5) * height / rows
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            runs[int(values[first])].append(
                ((left + first * width / columns, y), (left + last * width / columns, y))
            )
    for shade, lines in enumerate(runs):
        if lines:
            yield _shade(shade / (SHADES - 1)), lines, height / rows + 0.2


def _shade(loudness: float) -> str:
    """The color of a loudness, 0..1."""
    scale = ((14, 16, 26), (46, 40, 96), (120, 70, 150), (214, 190, 214))
    lower = min(int(loudness * 3), 2)
    share = loudness * 3 - lower
    mixed = (round(dark + (light - dark) * share) for dark, light in zip(*scale[lower : lower + 2], strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _draw_histogram(svg: Svg, found: Explanation) -> None:
    left, top, width, height = HISTOGRAM
    svg.outline(left, top, width, height, GRAY)
    if found.examined is None:
        svg.text(left, top - 12, "No track to compare with", GRAY)
        return
    svg.text(left, top - 12, "Votes for each offset into the track, in seconds", GRAY)
    first = min(0.0, float(found.offsets_seconds.min()))
    last = max(float(found.offsets_seconds.max()), found.examined.finding.track.duration_seconds, first + 1)
    highest = float(found.votes.max())

    def x_of(seconds: float) -> float:
        return left + (seconds - first) / (last - first) * width

    def bar(x: float, votes: float) -> tuple[Point, Point]:
        return (x, top + height), (x, top + height - votes / highest * (height - 20))

    # The highest vote of the offsets that share a column.
    columns = ((found.offsets_seconds - first) / (last - first) * (width - 1)).astype(np.int64)
    bars = np.zeros(width)
    np.maximum.at(bars, np.clip(columns, 0, width - 1), found.votes)
    svg.lines((bar(left + column + 0.5, bars[column]) for column in np.flatnonzero(bars).tolist()), BLUE)
    x, votes = x_of(found.offset_seconds), found.examined.candidate.votes
    svg.lines([bar(x, votes)], ORANGE, width=3)
    label = f"{found.offset_seconds:.2f} s: {votes:.0f}"
    fits = x + 8 + text_width(label) < left + width
    # Above all bars: the answer's need not be the highest.
    svg.text(x + (8 if fits else -8), top + 15, label, ORANGE, anchor="start" if fits else "end")
    for second in _ticks(last):
        svg.text(x_of(second), top + height + 20, f"{second:g}", GRAY, anchor="middle")
    _label_left(svg, top + 20, f"{highest:.0f}")
    _label_left(svg, top + height, "0")


def _draw_rivals(svg: Svg, found: Explanation) -> None:
    left, top, width, height = RIVALS
    svg.text(left, top - 12, "The tracks with most votes", GRAY)
    highest = max((candidate.votes for candidate in found.candidates), default=1.0)
    row = height // 10
    for number, candidate in enumerate(found.candidates):
        color = ORANGE if candidate.chosen else BLUE
        y = top + number * row
        svg.rectangle(left, y, candidate.votes / highest * width, 3, color)
        svg.text(left, y + 18, f"{candidate.votes:.0f}", color)
        svg.text(left + 60, y + 18, shortened(_title(candidate.track), width - 60))


def _label_left(svg: Svg, y: float, text: str) -> None:
    svg.text(_LEFT - 8, y + 5, text, GRAY, anchor="end")


def _ticks(length: float) -> Sequence[float]:
    """At most ten round numbers from 0 to a length."""
    step = next(
        step for power in range(9) for step in (10**power, 2 * 10**power, 5 * 10**power) if length / step <= 10
    )
    return [number * float(step) for number in range(int(length / step) + 1)]
