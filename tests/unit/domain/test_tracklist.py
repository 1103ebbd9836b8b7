"""The tracklist of a whole recording: what counts as a song, and from where to where."""

from dataclasses import replace

import pytest

from fingerprint.domain.broadcasts import VIDEO_EXACT_SECONDS, Broadcast, BroadcastPlace, video_place
from fingerprint.domain.identification import Heard
from fingerprint.domain.time_line import Span, TimeLine
from fingerprint.domain.tracklist import HeardPiece, Tracklist, spans_of_video
from tests.builders import NOON, song


def piece(start: float, title: str = "One", *, offset: float | None = None, score: float = 0.9) -> HeardPiece:
    return HeardPiece(
        start=start,
        end=start + 12,
        song=song(title=title, offset_seconds=offset, duration_seconds=180.0),
        score=score,
        recognizer="catalog",
    )


def listened(*pieces: HeardPiece) -> list[tuple[str, float, float]]:
    found = Tracklist(duration=10_000.0)
    for each in pieces:
        found = found.after(each.end, [each])
    return [(entry.song.title, entry.start, entry.end) for entry in found.songs]


def test_pieces_that_agree_are_one_song_also_after_talk() -> None:
    assert listened(piece(100, offset=10), piece(112, offset=22), piece(180, offset=90)) == [("One", 100, 192)]


def test_a_song_that_begins_again_is_another_entry() -> None:
    again = [piece(0, offset=0), piece(12, offset=12), piece(24, offset=1), piece(36, offset=13)]
    assert listened(*again) == [("One", 0, 24), ("One", 24, 48)]


def test_one_piece_alone_counts_only_when_it_is_nearly_certain() -> None:
    assert listened(piece(50, offset=30, score=0.9)) == []
    assert listened(piece(50, offset=30, score=0.99)) == [("One", 50, 62)]


def test_chance_in_the_middle_of_a_song_is_dropped() -> None:
    heard = [piece(0, offset=0), piece(12, "Other", offset=70), piece(24, offset=24)]
    assert listened(*heard) == [("One", 0, 36)]


def test_a_song_that_would_have_ended_soon_after_it_was_last_heard_did_so() -> None:
    assert listened(piece(0, offset=150), piece(12, offset=162)) == [("One", 0, 30)]


def test_parts_without_sound_are_joined() -> None:
    found = Tracklist().without_sound(10, muted=True).without_sound(20, muted=True).without_sound(30, muted=False)
    assert (found.muted, found.missing, found.position) == (((0.0, 20.0),), ((20.0, 30.0),), 30.0)


# --- What a VOD adds to its broadcast's time line -----------------------------------------------------


def spans(*pieces: HeardPiece, broadcast: str | None = "41") -> list[Span]:
    found = Tracklist(broadcast=broadcast)
    for each in pieces:
        found = found.after(each.end, [each])
    return list(spans_of_video("1", found, heard_at=NOON))


def test_a_vods_songs_are_spans_of_its_broadcast_where_they_were_surely_heard() -> None:
    [span] = spans(piece(10, offset=30), piece(22, offset=42), piece(34, offset=54))
    assert (span.place, span.heard) == (
        BroadcastPlace(broadcast="41", start=11, end=37, exact=VIDEO_EXACT_SECONDS),
        Heard.VIDEO,
    )
    answer = TimeLine([span]).answer(video_place(Broadcast(id="41", started_at=NOON), 20.0))
    assert answer is not None
    assert answer.song is not None
    assert answer.song.offset_seconds == 40


LONG = replace(piece(10, offset=30, score=0.99), end=58.0)


@pytest.mark.parametrize(
    "heard",
    [
        replace(LONG, song=replace(LONG.song, offset_seconds=None)),
        replace(LONG, end=19.0),
        replace(LONG, score=0.5),
        replace(LONG, live=True),
    ],
    ids=["no offset", "short", "a chance match", "known from the live stream"],
)
def test_what_is_not_sure_is_no_span(heard: HeardPiece) -> None:
    assert spans(heard) == []
    assert len(spans(LONG)) == 1


def test_a_highlight_belongs_to_no_broadcast() -> None:
    assert spans(LONG, broadcast=None) == []


def test_only_what_is_near_is_given() -> None:
    found = Tracklist(broadcast="41").after(60.0, [LONG])
    for near, count in (((0.0, 5.0), 0), ((0.0, 9.0), 1), ((59.0, 90.0), 1), ((60.0, 90.0), 0)):
        assert len(spans_of_video("1", found, heard_at=NOON, near=near)) == count


def test_a_span_ends_with_its_song() -> None:
    [span] = spans(replace(LONG, song=replace(LONG.song, duration_seconds=50.0)))
    assert span.place.end == 30
