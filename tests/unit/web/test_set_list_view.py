"""What a channel's page asks for, draws, and offers to download."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprint.domain.identification import CatalogRef, ExternalIds, Song
from fingerprint.domain.problems import TwitchAudioError
from server.identifications.set_list import Play, plays
from server.web.set_list_view import as_csv, as_json, as_m3u, matching, parse_filter, row
from server.web.timeline import timeline
from tests.builders import NOON, answered, song

YOUTUBE = ExternalIds(youtube="dQw4w9WgXcQ")


def played(*songs: Song, apart: float = 5) -> Sequence[Play]:
    """One answer for each, `apart` minutes, the last one first."""
    history = [answered(minutes=apart * number, song=each) for number, each in enumerate(songs)]
    return list(plays(reversed(history)))


def test_a_play_that_is_not_sure_is_shown_and_given_as_probable() -> None:
    shown = list(plays([answered("B", minutes=9, score=0.8), answered("A", score=0.9)]))
    assert [row(play).probably for play in shown] == ["Probably", ""]
    assert [play["probable"] for play in json.loads(as_json("somechannel", shown))["plays"]] == [True, False]


def test_a_day_is_a_day_of_utc() -> None:
    chosen = parse_filter({"day": "2026-03-01", "q": " dawn "})
    assert (chosen.day, chosen.search) == (date(2026, 3, 1), "dawn")
    assert chosen.since is not None
    assert chosen.before == chosen.since + timedelta(days=1)
    assert chosen.query() == {"day": "2026-03-01", "q": "dawn"}
    assert parse_filter({}).since is None


@pytest.mark.parametrize(
    ("zone", "day", "since", "hours"),
    [
        ("Europe/Berlin", "2026-03-01", "2026-02-28T23:00", 24),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00", 25),
        ("America/New_York", "2026-03-01", "2026-03-01T05:00", 24),
        ("Asia/Kolkata", "2026-03-01", "2026-02-28T18:30", 24),
        ("Pacific/Kiritimati", "2026-03-01", "2026-02-28T10:00", 24),
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00", 23),  # its midnight is left out
    ],
)
def test_a_day_of_a_zone_is_from_its_midnight_to_the_next(zone: str, day: str, since: str, hours: int) -> None:
    chosen = parse_filter({"day": day}, ZoneInfo(zone))
    assert (chosen.since, chosen.before) == (
        began := datetime.fromisoformat(since).replace(tzinfo=UTC),
        began + timedelta(hours=hours),
    )
    assert chosen.query() == {"day": day, "zone": zone}


def test_times_are_those_of_the_zone() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    (play,) = played(song("A"))
    assert row(play, clock=tokyo).last.isoformat() == "2026-03-01T21:00:00+09:00"
    drawn = timeline([play], tokyo)
    assert drawn is not None
    assert [tick.moment.strftime("%H:%M") for tick in drawn.ticks] == ["21:00", "22:00"]
    written = next(csv.DictReader(io.StringIO(as_csv([play], tokyo).removeprefix("\ufeff"))))
    assert written["first_heard"] == "2026-03-01T21:00:00.000000+09:00"
    assert "2026-03-01T12:00:00.000000Z" in as_csv([play])


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "0001-01-01", "9999-12-31", "T00:00", "\u0661"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(TwitchAudioError):
        parse_filter({"day": text})


def test_a_search_finds_every_word_in_title_artists_and_album() -> None:
    songs = played(song("Night Drive", "Vela"), song("Dawn", "Night Owls", album="Drive"), song("Noon", "Vela"))
    found = [play.song.title for play in matching(songs, "NIGHT drive")]
    assert found == ["Dawn", "Night Drive"]
    assert len(matching(songs, "")) == 3
    assert matching(songs, "night noon") == []


def test_a_row_keeps_its_key_while_the_play_goes_on() -> None:
    (one,) = plays([answered("A", minutes=0)])
    (longer,) = plays([answered("A", minutes=2), answered("A", minutes=0)])
    assert row(one).key == row(longer).key
    assert row(longer).answer != row(one).answer


def test_the_timeline_is_of_the_newest_broadcast_from_hour_to_hour() -> None:
    history = [answered("Old", minutes=-600), answered("A", minutes=10), answered("B", minutes=50)]
    drawn = timeline(list(plays(reversed(history))))
    assert drawn is not None
    assert (drawn.start, drawn.end) == (NOON, NOON + timedelta(hours=1))
    assert [bar.title for bar in drawn.bars] == ["A - The Builders", "B - The Builders"]
    assert [round(bar.start) for bar in drawn.bars] == [17, 83]
    assert [tick.at for tick in drawn.ticks] == [0, 100]
    assert timeline([]) is None


@given(st.lists(st.floats(0, 3000), min_size=1, max_size=40))
def test_whatever_was_heard_stands_within_the_timeline(minutes: list[float]) -> None:
    history = [answered(str(n), minutes=each) for n, each in enumerate(sorted(minutes))]
    drawn = timeline(list(plays(reversed(history))))
    assert drawn is not None
    assert len(drawn.ticks) <= 10
    assert drawn.ticks[-1].at == 100
    for bar in drawn.bars:
        assert bar.start >= 0
        assert bar.width > 0
        assert bar.start + bar.width <= 100.001


def test_a_spreadsheet_takes_no_cell_for_a_formula() -> None:
    table = as_csv(played(song("=HYPERLINK(1)", "+a", "-b"), song('Quote", and comma', "@c")))
    rows = list(csv.reader(io.StringIO(table.lstrip("\ufeff"))))
    assert rows[0][:4] == ["first_heard", "last_heard", "title", "artists"]
    assert [each[2:4] for each in rows[1:]] == [['Quote", and comma', "'@c"], ["'=HYPERLINK(1)", "'+a, -b"]]


def test_the_json_has_the_apis_form() -> None:
    body = json.loads(as_json("somechannel", played(song("Ünïcode", ids=YOUTUBE))))
    assert body["channel"] == "somechannel"
    assert body["plays"][0]["song"]["links"]["youtube"].startswith("https://")


def test_the_playlist_has_each_song_once_in_the_order_heard() -> None:
    catalog = CatalogRef(track_id="1", path="music/b.flac")
    songs = [
        song("A", ids=YOUTUBE, duration_seconds=61.2),
        song("B", catalog=catalog),
        song("C"),
        song("A", ids=YOUTUBE),
    ]
    lines = as_m3u("somechannel", played(*songs, apart=20), paths=True).splitlines()
    assert lines == [
        "#EXTM3U",
        "#PLAYLIST:somechannel",
        "#EXTINF:61,The Builders - A",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "#EXTINF:-1,The Builders - B",
        "music/b.flac",
        "# The Builders - C: no link known",
    ]
    # Where the operator's files are is nobody else's business.
    assert "# The Builders - B: no link known" in as_m3u("somechannel", played(*songs, apart=20))
