"""The demo's songs as data: ten pieces in ten styles, made up and played by code, so no audio is shipped.

A `Score` says how a song is built; `simulator.composer` turns it into sound. Titles, artists, labels and the
ISRC-like ids (country code ZZ, which is not assigned) are fictions.
"""

from dataclasses import dataclass, field
from typing import Final

from simulator.synth import Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class SongTags:
    """What a song's file says about it."""

    title: str
    artists: tuple[str, ...]
    album: str
    label: str
    isrc: str
    date: str
    genre: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Some bars with one mood. `chords` are scale degrees (0 is the key's own), one a bar, repeated."""

    bars: int
    chords: tuple[int, ...]
    energy: float
    parts: str
    """Who plays: any of p (chords), b (bass), m (melody), d (drums), a (arpeggio)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A song: its tags and everything that the composer needs. `drums` names a pattern of the composer."""

    tags: SongTags
    seed: int
    bpm: float
    key: int
    scale: tuple[int, ...]
    sections: tuple[Section, ...]
    lead: Instrument
    pad: Instrument
    bass: Instrument
    drums: str
    bass_style: str
    pad_style: str
    beats: int = 4
    swing: float = 0.0
    lead_octave: int = 5
    density: float = 0.55
    sevenths: bool = False
    arp: Instrument = field(default_factory=lambda: Instrument(wave="pulse", gain=0.07, decay=0.12, sustain=0.1))


MINOR: Final = (0, 2, 3, 5, 7, 8, 10)
MAJOR: Final = (0, 2, 4, 5, 7, 9, 11)
DORIAN: Final = (0, 2, 3, 5, 7, 9, 10)
LYDIAN: Final = (0, 2, 4, 6, 7, 9, 11)
HARMONIC: Final = (0, 2, 3, 5, 7, 8, 11)
MIXOLYDIAN: Final = (0, 2, 4, 5, 7, 9, 10)


def _tags(number: int, title: str, artists: str, *release: str) -> SongTags:
    """Tags; `release` is album, label, date and genre."""
    album, label, date, genre = release
    return SongTags(
        title=title,
        artists=tuple(artists.split(" & ")),
        album=album,
        label=label,
        isrc=f"ZZTWA26{number:05d}",
        date=date,
        genre=genre,
    )


def _form(*sections: tuple[int, tuple[int, ...], float, str]) -> tuple[Section, ...]:
    return tuple(Section(bars=b, chords=c, energy=e, parts=p) for b, c, e, p in sections)


SCORES: Final[tuple[Score, ...]] = (
    Score(
        tags=_tags(
            1, "Neon Harbour Drive", "Vela Coast", "Chrome Tides", "Longshore Audio", "2024-03-08", "Synthwave"
        ),
        seed=1101,
        bpm=104,
        key=57,
        scale=MINOR,
        sections=_form(
            (4, (0, 5), 0.5, "pa"),
            (8, (0, 5, 2, 6), 0.75, "pbda"),
            (8, (5, 6, 0, 2), 0.95, "pbmd"),
            (4, (3, 4), 0.6, "pma"),
            (8, (0, 5, 2, 6), 1.0, "pbmda"),
        ),
        lead=Instrument(wave="saw", gain=0.17, detune=14, width=0.3, vibrato=0.006, echo=0.7, release=0.15),
        pad=Instrument(
            wave="saw", gain=0.055, attack=0.12, sustain=0.9, release=0.4, bright=0.3, detune=18, width=0.6
        ),
        bass=Instrument(wave="saw", gain=0.26, decay=0.18, sustain=0.35, bright=0.22),
        drums="straight",
        bass_style="eighths",
        pad_style="held",
    ),
    Score(
        tags=_tags(2, "Pixel Lantern", "Bitmoth", "Eight Small Rooms", "Cartridge Club", "2023-11-17", "Chiptune"),
        seed=2207,
        bpm=148,
        key=60,
        scale=MAJOR,
        sections=_form(
            (4, (0, 4), 0.6, "am"),
            (10, (0, 4, 5, 3), 0.8, "bmda"),
            (8, (3, 4, 2, 5), 0.95, "bmda"),
            (6, (1, 4), 0.65, "ba"),
            (12, (0, 4, 5, 3), 1.0, "bmda"),
        ),
        lead=Instrument(
            wave="pulse", gain=0.2, decay=0.4, sustain=0.7, release=0.02, bright=1.0, vibrato=0.009, pan=0.15
        ),
        pad=Instrument(wave="square", gain=0.04, bright=1.0),
        bass=Instrument(wave="triangle", gain=0.34, decay=0.2, sustain=0.8, release=0.02, bright=1.0),
        drums="chip",
        bass_style="octaves",
        pad_style="held",
        density=0.75,
        lead_octave=6,
        arp=Instrument(wave="square", gain=0.08, decay=0.08, sustain=0.3, release=0.01, bright=1.0, pan=-0.4),
    ),
    Score(
        tags=_tags(
            3,
            "Tuesday at the Blue Kettle",
            "Odell Marsh Trio & Ines Calder",
            "Low Ceilings",
            "Kettle Street",
            "2022-05-06",
            "Jazz",
        ),
        seed=3313,
        bpm=132,
        key=53,
        scale=DORIAN,
        sections=_form(
            (4, (1, 4), 0.5, "pbd"),
            (12, (1, 4, 0, 5), 0.75, "pbmd"),
            (8, (3, 6, 2, 5), 0.9, "pbmd"),
            (4, (1, 4), 0.55, "bd"),
            (10, (1, 4, 0, 5), 0.95, "pbmd"),
        ),
        lead=Instrument(wave="reed", gain=0.24, attack=0.03, sustain=0.8, vibrato=0.01, echo=0.35, pan=0.2),
        pad=Instrument(wave="bell", gain=0.085, decay=0.5, sustain=0.15, release=0.25, bright=0.5, pan=-0.35),
        bass=Instrument(wave="triangle", gain=0.42, decay=0.35, sustain=0.25, release=0.05, bright=0.6),
        drums="swing",
        bass_style="walking",
        pad_style="comping",
        swing=0.32,
        density=0.65,
        sevenths=True,
    ),
    Score(
        tags=_tags(
            4, "Basement Weather", "Kilo Parade", "Concrete Gardens", "Night Bus Records", "2025-01-24", "House"
        ),
        seed=4421,
        bpm=124,
        key=55,
        scale=MINOR,
        sections=_form(
            (4, (0,), 0.55, "bd"),
            (8, (0, 3, 5, 4), 0.8, "pbd"),
            (8, (0, 3, 5, 4), 0.95, "pbmda"),
            (4, (5, 6), 0.5, "pm"),
            (12, (0, 3, 5, 6), 1.0, "pbmda"),
        ),
        lead=Instrument(wave="organ", gain=0.16, decay=0.15, sustain=0.4, echo=0.8, pan=-0.2),
        pad=Instrument(
            wave="saw", gain=0.075, decay=0.14, sustain=0.2, release=0.12, bright=0.5, detune=10, width=0.5
        ),
        bass=Instrument(wave="square", gain=0.26, decay=0.15, sustain=0.5, bright=0.2),
        drums="house",
        bass_style="offbeat",
        pad_style="stabs",
        density=0.4,
        sevenths=True,
    ),
    Score(
        tags=_tags(5, "Gravel and Thunder", "The Wet Matches", "Loud Weather", "Tin Roof", "2021-09-10", "Rock"),
        seed=5527,
        bpm=140,
        key=52,
        scale=MINOR,
        sections=_form(
            (4, (0, 0, 5, 6), 0.7, "pd"),
            (12, (0, 6, 5, 6), 0.8, "pbmd"),
            (8, (2, 6, 3, 4), 1.0, "pbmd"),
            (4, (5, 4), 0.6, "bd"),
            (12, (2, 6, 0, 5), 1.0, "pbmd"),
        ),
        lead=Instrument(
            wave="saw", gain=0.3, drive=2.5, vibrato=0.008, sustain=0.8, echo=0.4, bright=0.7, pan=0.1
        ),
        pad=Instrument(
            wave="saw", gain=0.16, drive=4.0, decay=0.2, sustain=0.7, bright=0.45, detune=12, width=0.8
        ),
        bass=Instrument(wave="saw", gain=0.3, drive=0.8, decay=0.3, sustain=0.6, bright=0.25),
        drums="rock",
        bass_style="eighths",
        pad_style="power",
        density=0.6,
    ),
    Score(
        tags=_tags(6, "Slow Glacier", "Aurelia Fenn", "Meltwater Almanac", "Quiet Hours", "2020-12-04", "Ambient"),
        seed=6637,
        bpm=66,
        key=50,
        scale=LYDIAN,
        sections=_form(
            (4, (0, 1), 0.5, "p"),
            (6, (0, 4, 1), 0.7, "pm"),
            (6, (5, 1, 3), 0.9, "pbma"),
            (5, (0, 1, 4), 0.6, "pma"),
        ),
        lead=Instrument(wave="bell", gain=0.2, decay=1.4, sustain=0.1, release=1.2, echo=1.0, pan=0.25),
        pad=Instrument(
            wave="reed",
            gain=0.075,
            attack=1.1,
            sustain=1.0,
            release=1.6,
            bright=0.4,
            detune=9,
            width=0.9,
            echo=0.8,
        ),
        bass=Instrument(wave="sine", gain=0.3, attack=0.3, sustain=1.0, release=0.8),
        drums="none",
        bass_style="held",
        pad_style="held",
        density=0.3,
        sevenths=True,
        arp=Instrument(wave="bell", gain=0.07, decay=0.6, sustain=0.05, release=0.5, echo=0.9, pan=-0.5),
    ),
    Score(
        tags=_tags(
            7, "Marionette Waltz", "Orchard Mechanique", "Clockwork Fair", "Brass Key", "2019-10-18", "Waltz"
        ),
        seed=7741,
        bpm=168,
        key=59,
        scale=HARMONIC,
        beats=3,
        sections=_form(
            (8, (0, 4), 0.55, "pb"),
            (16, (0, 0, 3, 3, 4, 4, 0, 0), 0.75, "pbm"),
            (16, (5, 5, 2, 2, 3, 4, 0, 4), 0.95, "pbmd"),
            (8, (3, 0, 4, 0), 0.6, "pm"),
            (16, (0, 3, 4, 0), 1.0, "pbmd"),
        ),
        lead=Instrument(wave="reed", gain=0.24, attack=0.02, sustain=0.85, vibrato=0.007, echo=0.6, pan=-0.15),
        pad=Instrument(wave="organ", gain=0.075, decay=0.15, sustain=0.35, release=0.1, bright=0.7, pan=0.3),
        bass=Instrument(wave="triangle", gain=0.4, decay=0.3, sustain=0.3, bright=0.7),
        drums="waltz",
        bass_style="downbeat",
        pad_style="oompah",
        density=0.6,
    ),
    Score(
        tags=_tags(
            8, "Tunnel Static", "Ferric & Juno Hale", "Undertow FM", "Signal Loss", "2025-06-13", "Drum and bass"
        ),
        seed=8849,
        bpm=174,
        key=54,
        scale=MINOR,
        sections=_form(
            (8, (0, 0, 5, 5), 0.5, "pa"),
            (16, (0, 0, 5, 6), 0.9, "pbda"),
            (12, (3, 3, 5, 4), 1.0, "pbmd"),
            (6, (0, 5), 0.55, "pm"),
            (12, (0, 5, 3, 6), 1.0, "pbmda"),
        ),
        lead=Instrument(
            wave="square", gain=0.13, decay=0.25, sustain=0.5, echo=0.9, detune=11, width=0.4, bright=0.5
        ),
        pad=Instrument(
            wave="saw", gain=0.05, attack=0.2, sustain=0.9, release=0.5, bright=0.35, detune=22, width=0.8
        ),
        bass=Instrument(wave="saw", gain=0.32, decay=0.5, sustain=0.7, bright=0.15, detune=20, drive=1.2),
        drums="breaks",
        bass_style="sub",
        pad_style="held",
        density=0.5,
    ),
    Score(
        tags=_tags(9, "Coconut Ferry", "Las Linternas", "Puerto Papel", "Marea Alta", "2022-07-22", "Reggae"),
        seed=9857,
        bpm=92,
        key=50,
        scale=MIXOLYDIAN,
        sections=_form(
            (4, (0, 6), 0.6, "pd"),
            (8, (0, 6, 3, 0), 0.8, "pbmd"),
            (6, (3, 0, 4), 0.95, "pbmda"),
            (2, (4,), 0.55, "pd"),
            (8, (0, 3, 6, 0), 1.0, "pbmd"),
        ),
        lead=Instrument(wave="organ", gain=0.17, attack=0.01, sustain=0.75, vibrato=0.006, echo=0.4, bright=0.8),
        pad=Instrument(
            wave="pulse", gain=0.085, decay=0.07, sustain=0.1, release=0.05, bright=0.7, pan=0.35, echo=0.5
        ),
        bass=Instrument(wave="sine", gain=0.5, decay=0.3, sustain=0.6, release=0.06),
        drums="onedrop",
        bass_style="syncopated",
        pad_style="offbeats",
        swing=0.12,
        density=0.5,
    ),
    Score(
        tags=_tags(10, "Paper Cranes", "Momo Tanaka Quartet", "Rainy Shelf", "Soft Focus", "2023-02-03", "Lo-fi"),
        seed=10867,
        bpm=82,
        key=51,
        scale=DORIAN,
        sections=_form(
            (4, (3, 6), 0.55, "p"),
            (8, (3, 6, 0, 5), 0.8, "pbd"),
            (8, (3, 6, 0, 5), 0.9, "pbmd"),
            (6, (1, 4, 0), 0.85, "pbmda"),
        ),
        lead=Instrument(wave="triangle", gain=0.25, decay=0.5, sustain=0.4, release=0.2, vibrato=0.008, echo=0.6),
        pad=Instrument(
            wave="bell",
            gain=0.1,
            decay=0.9,
            sustain=0.25,
            release=0.4,
            bright=0.3,
            vibrato=0.006,
            width=0.5,
            detune=6,
        ),
        bass=Instrument(wave="sine", gain=0.42, decay=0.5, sustain=0.5),
        drums="lofi",
        bass_style="syncopated",
        pad_style="comping",
        swing=0.2,
        density=0.45,
        sevenths=True,
    ),
)
