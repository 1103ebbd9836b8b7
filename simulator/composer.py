"""Turns a `Score` into sound: chords with voice leading, a bass line, a melody that develops, and drums.

The melody is made of two-bar phrases in the order A, A', B, A'': a varied phrase keeps its rhythm and contour but
not its notes, so that no bar returns unchanged and every moment of a song can be told from every other. Players
are a few milliseconds early or late, as people are, and never twice in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import default_rng

from simulator.songs import Score, Section
from simulator.synth import RATE, Note, Sound, Synth, drum, echo, finish, pan_gains

# Sixteenths of a bar for each drum: digits are loudness in ninths, dots are silence.
_PATTERNS: Final[dict[str, dict[str, str]]] = {
    "straight": {"kick": "9...4...9.4.....", "snare": "....9.......9...", "hat": "6.4.6.4.6.4.6.44"},
    "chip": {"kick": "9.....9.9.......", "snare": "....8.......8.3.", "hat": "7.3.7.3.7.3.7.3."},
    "swing": {
        "kick": "3.......3.......",
        "snare": "..........2.....",
        "ride": "8...7..68...7..6",
        "hat": "....6.......6...",
    },
    "house": {
        "kick": "9...9...9...9...",
        "snare": "....7.......7...",
        "open": "..7...7...7...7.",
        "hat": "4.4.4.4.4.4.4.44",
    },
    "rock": {"kick": "9.....5.9.9.....", "snare": "....9.......9...", "hat": "8...6...8...6..."},
    "waltz": {"kick": "8...........", "snare": "....3...4...", "ride": "5...4...4..."},
    "breaks": {"kick": "9.........8.....", "snare": "....9..3.3..9..2", "hat": "7.5.7.5.7.5.7.5."},
    "onedrop": {"kick": "........9.......", "snare": "........7.......", "hat": "..6...6...6.3.6."},
    "lofi": {"kick": "8......5..7.....", "snare": "....7.......7...", "hat": "5.3.5.3.5.3.5.33"},
    "none": {},
}
_PLACES: Final = {"kick": 0.0, "snare": 0.08, "hat": 0.35, "open": 0.35, "ride": -0.4, "tom": -0.25, "crash": -0.3}
_RHYTHMS: Final = (
    (4, 4, 4, 4),
    (6, 2, 4, 4),
    (2, 2, 4, 2, 6),
    (3, 3, 2, 4, 4),
    (8, 4, 2, 2),
    (2, 2, 2, 2, 4, 4),
    (6, 6, 4),
    (3, 3, 3, 3, 4),
    (4, 2, 2, 8),
)


@dataclass(frozen=True, slots=True)
class _Bar:
    number: int
    start: float
    chord: tuple[int, ...]
    degree: int
    section: Section
    last_of_section: bool


@dataclass(slots=True)
class _Phrase:
    """Two bars of melody: steps in sixteenths and scale degrees relative to the chord."""

    lengths: list[int]
    degrees: list[int]
    rests: list[bool]


class Composer:
    """Plays one score. Not for use by several threads at once."""

    def __init__(self, score: Score) -> None:
        self._score = score
        self._rng = default_rng(score.seed)
        self._sixteenth = 60.0 / score.bpm / 4
        self._steps = score.beats * 4
        self._bars = self._plan()

    @property
    def seconds(self) -> float:
        """The song's length."""
        return self._bars[-1].start + self._steps * self._sixteenth + 3.0

    def play(self) -> Sound:
        """The whole song, shape (2, n)."""
        samples = round(self.seconds * RATE)
        synth = Synth(self._rng)
        score = self._score
        mix = np.zeros((2, samples), dtype=np.float32)
        for notes, instrument in (
            (self._chords(), score.pad),
            (self._bass(), score.bass),
            (self._melody(), score.lead),
            (self._arpeggio(), score.arp),
        ):
            if notes:
                mix += synth.render(notes, instrument, samples)
        mix += self._drums(samples)
        return finish(echo(mix, 0.06))

    # --- the plan -------------------------------------------------------------------------------------

    def _plan(self) -> list[_Bar]:
        bars: list[_Bar] = []
        for section in self._score.sections:
            for index in range(section.bars):
                degree = section.chords[index % len(section.chords)]
                bars.append(
                    _Bar(
                        number=len(bars),
                        start=len(bars) * self._steps * self._sixteenth + 0.15,
                        chord=self._chord(degree),
                        degree=degree,
                        section=section,
                        last_of_section=index == section.bars - 1,
                    )
                )
        return bars

    def _pitch(self, degree: int) -> int:
        scale = self._score.scale
        return self._score.key + scale[degree % len(scale)] + 12 * (degree // len(scale))

    def _chord(self, degree: int) -> tuple[int, ...]:
        thirds = (0, 2, 4, 6) if self._score.sevenths else (0, 2, 4)
        return tuple(self._pitch(degree + third) for third in thirds)

    def _time(self, bar: _Bar, step: float) -> float:
        """Seconds of a step of a bar, swung and played by a human."""
        swung = step + (self._score.swing * 2 if step % 4 == 2 else 0)
        return max(0.0, bar.start + swung * self._sixteenth + self._rng.normal(0, 0.004))

    def _loudness(self, bar: _Bar, base: float = 1.0) -> float:
        return float(np.clip(base * bar.section.energy * self._rng.normal(1, 0.07), 0.05, 1.2))

    # --- the players ----------------------------------------------------------------------------------

    def _chords(self) -> list[Note]:
        notes: list[Note] = []
        center = self._score.key + 7.0
        for bar in self._bars:
            if "p" not in bar.section.parts:
                continue
            voiced = [_nearest(pitch, center + self._rng.normal(0, 1.5)) for pitch in bar.chord]
            if self._score.pad_style == "power":
                voiced = [bar.chord[0] - 12, bar.chord[0] - 5, bar.chord[0]]
            center += 0.3 * (float(np.mean(voiced)) - center) * 0.5
            for step, length in self._chord_rhythm(bar):
                loudness = self._loudness(bar)
                start = self._time(bar, step)
                for place, pitch in enumerate(voiced):
                    strum = place * abs(self._rng.normal(0.004, 0.003))
                    notes.append(Note(start + strum, length * self._sixteenth, pitch, loudness))
        return notes

    def _chord_rhythm(self, bar: _Bar) -> Sequence[tuple[float, float]]:
        steps, rng = self._steps, self._rng
        match self._score.pad_style:
            case "stabs":
                return [(s, 1.6) for s in (0, 3, 6, 10, 13) if rng.random() < 0.72]
            case "comping":
                return [(s, rng.choice((2.0, 3.0, 5.0))) for s in (0, 3, 6, 10, 14) if rng.random() < 0.5]
            case "oompah":
                return [(4, 2.5), (8, 2.5)]
            case "offbeats":
                return [(s, 1.2) for s in range(2, steps, 4)] + ([(15, 0.8)] if rng.random() < 0.3 else [])
            case "power":
                gallop = [(s, 1.8) for s in range(0, steps, 2) if rng.random() < 0.8]
                return gallop if bar.section.energy < 0.9 else [(0, 7.5), (8, 5.5), (14, 1.8)]
            case _:
                return [(0, steps * 0.98)]

    def _bass(self) -> list[Note]:
        notes: list[Note] = []
        for index, bar in enumerate(self._bars):
            if "b" not in bar.section.parts:
                continue
            root = _nearest(bar.chord[0], 38)
            following = self._bars[min(index + 1, len(self._bars) - 1)]
            target = _nearest(following.chord[0], 38)
            for step, length, pitch in self._bass_line(bar, root, target):
                notes.append(
                    Note(self._time(bar, step), length * self._sixteenth, pitch, self._loudness(bar, 0.95))
                )
        return notes

    def _bass_line(self, bar: _Bar, root: int, target: int) -> list[tuple[float, float, int]]:
        rng, steps = self._rng, self._steps
        fifth, octave = root + 7, root + 12
        line: list[tuple[float, float, int]]
        match self._score.bass_style:
            case "eighths":
                choice = (root, root, root, root, octave, fifth)
                line = [(s, 1.7, int(rng.choice(choice))) for s in range(0, steps, 2)]
            case "octaves":
                turns = (root, octave)
                line = [(s, 1.5, turns[s // 2 % 2] if rng.random() < 0.9 else fifth) for s in range(0, steps, 2)]
            case "walking":
                inner = int(rng.choice(bar.chord[1:])) - 12
                passing = (root, inner, fifth - int(rng.integers(0, 2)), target + int(rng.choice((-1, 1))))
                line = [(4 * beat, 3.6, _nearest(pitch, 40)) for beat, pitch in enumerate(passing)]
            case "offbeat":
                line = [(s, 1.6, root if rng.random() < 0.75 else octave) for s in range(2, steps, 4)]
                line.append((15, 0.8, fifth))
            case "downbeat":
                line = [(0, 3.5, root if bar.number % 2 == 0 else fifth - 12 * (fifth > 45))]
            case "sub":
                line = [(0, 5.5, root), (int(rng.choice((6, 7))), 3, root)]
                line.append((10, 4.5, int(rng.choice((root, fifth, root - 2)))))
            case "syncopated":
                places = [s for s in (0, 3, 6, 8, 11, 14) if s == 0 or rng.random() < 0.6]
                choice = (root, root, fifth, octave, root - 2)
                line = [(s, 2.2, int(rng.choice(choice))) for s in places]
            case _:
                line = [(0, steps * 0.97, root)]
        return line

    def _melody(self) -> list[Note]:
        notes: list[Note] = []
        phrases: dict[str, _Phrase] = {}
        degree = 4
        singing = [bar for bar in self._bars if "m" in bar.section.parts]
        for index in range(0, len(singing), 2):
            form = "AABA"[(index // 2) % 4]
            base = f"{form}{singing[index].section.energy}"
            if base not in phrases:
                phrases[base] = self._new_phrase(degree)
            else:
                phrases[base] = self._varied(phrases[base])
            notes += self._sing(phrases[base], singing[index : index + 2])
            degree = phrases[base].degrees[-1]
        return notes

    def _new_phrase(self, degree: int) -> _Phrase:
        rng = self._rng
        lengths: list[int] = []
        for _ in range(2):
            cell = _RHYTHMS[int(rng.integers(len(_RHYTHMS)))]
            total = 0
            for length in cell:
                fitting = min(length, self._steps - total)
                if fitting > 0:
                    split = fitting >= 4 and rng.random() < self._score.density * 0.5
                    lengths += [fitting // 2, fitting - fitting // 2] if split else [fitting]
                    total += fitting
        degrees = [degree]
        while len(degrees) < len(lengths):
            leap = int(rng.choice((-3, -2, -1, -1, 1, 1, 2, 3, 4)))
            degrees.append(int(np.clip(degrees[-1] + leap, -2, 11)))
        return _Phrase(lengths, degrees, [bool(rng.random() > 0.55 + self._score.density * 0.55) for _ in lengths])

    def _varied(self, phrase: _Phrase) -> _Phrase:
        rng = self._rng
        shift = int(rng.choice((-1, 0, 0, 1, 2)))
        degrees = [
            int(np.clip(degree + shift + (rng.choice((-2, -1, 1, 2)) if rng.random() < 0.35 else 0), -2, 11))
            for degree in phrase.degrees
        ]
        lengths = list(phrase.lengths)
        place = int(rng.integers(len(lengths) - 1))
        if lengths[place] > 1:
            lengths[place] -= 1
            lengths[place + 1] += 1
        rests = [bool(rng.random() > 0.55 + self._score.density * 0.55) for _ in lengths]
        return _Phrase(lengths, degrees, rests)

    def _sing(self, phrase: _Phrase, bars: list[_Bar]) -> list[Note]:
        notes: list[Note] = []
        step = 0
        lift = 12 * (self._score.lead_octave - 5) + 12
        for length, degree, rest in zip(phrase.lengths, phrase.degrees, phrase.rests, strict=True):
            place, within = divmod(step, self._steps)
            step += length
            if rest or place >= len(bars):
                continue
            bar = bars[place]
            pitch = self._pitch(degree) + lift
            if within % 8 == 0:
                pitch = min((_nearest(tone, pitch) for tone in bar.chord), key=lambda tone: abs(tone - pitch))
            start = self._time(bar, within)
            notes.append(Note(start, length * self._sixteenth * 0.94, pitch, self._loudness(bar)))
        return notes

    def _arpeggio(self) -> list[Note]:
        notes: list[Note] = []
        stride = 1 if self._score.bpm < 160 else 2
        for bar in self._bars:
            if "a" not in bar.section.parts:
                continue
            tones = [*bar.chord, bar.chord[0] + 12, bar.chord[1] + 12]
            order = self._rng.permutation(len(tones))
            for step in range(0, self._steps, stride):
                if self._rng.random() < 0.12:
                    continue
                pitch = tones[int(order[(step // stride) % len(tones)])] + 12
                notes.append(
                    Note(self._time(bar, step), self._sixteenth * stride, pitch, self._loudness(bar, 0.9))
                )
        return notes

    def _drums(self, samples: int) -> Sound:
        out = np.zeros((2, samples), dtype=np.float32)
        pattern = _PATTERNS[self._score.drums]
        kit = {name: [drum(name, self._rng) for _ in range(5)] for name in (*pattern, "tom", "crash")}
        for bar in self._bars:
            if "d" not in bar.section.parts or not pattern:
                continue
            for name, step, loudness in self._strokes(bar, pattern):
                start = self._time(bar, step)
                self._strike(out, kit[name], _PLACES[name], start, self._loudness(bar, loudness))
        return out

    def _strokes(self, bar: _Bar, pattern: dict[str, str]) -> list[tuple[str, int, float]]:
        """What the drummer hits in a bar: the pattern, now and then something else, and fills."""
        rng = self._rng
        found: list[tuple[str, int, float]] = []
        if bar.number and self._bars[bar.number - 1].last_of_section:
            found.append(("crash", 0, 0.7))
        fill = bar.last_of_section and self._score.drums != "waltz"
        for name, line in pattern.items():
            for step, sign in enumerate(line):
                if fill and step >= self._steps - 4 and name in ("snare", "hat"):
                    continue
                if sign != "." and rng.random() < 0.95:
                    found.append((name, step, int(sign) / 9))
                elif name in ("hat", "snare", "kick") and rng.random() < 0.03:
                    found.append((name, step, 0.25))
        if fill:
            found += [
                (str(rng.choice(("tom", "snare"))), step, 0.7) for step in range(self._steps - 4, self._steps)
            ]
        return found

    def _strike(self, out: Sound, strokes: list[Sound], place: float, start: float, loudness: float) -> None:
        stroke = strokes[int(self._rng.integers(len(strokes)))]
        first = round(start * RATE)
        last = min(out.shape[1], first + stroke.size)
        left, right = pan_gains(place)
        gain = np.float32(0.5 * loudness)
        out[0, first:last] += stroke[: last - first] * left * gain
        out[1, first:last] += stroke[: last - first] * right * gain


def _nearest(pitch: int, center: float) -> int:
    """The same note in the octave nearest to `center`."""
    return pitch + 12 * round((center - pitch) / 12)
