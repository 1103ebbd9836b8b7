import pytest

from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.domain.links import SERVICES, ids_of_link, links_of

IDS = ExternalIds(
    spotify_track="5xTtaWoae3wi06K5WfVUUH", youtube="dQw4_9-gXcQ", deezer_track="42", apple_music="1440933849"
)


def test_links_are_made_from_ids() -> None:
    assert links_of(Song(title="Song", ids=IDS)) == {
        "spotify": "https://open.spotify.com/track/5xTtaWoae3wi06K5WfVUUH",
        "youtube": "https://www.youtube.com/watch?v=dQw4_9-gXcQ",
        "deezer": "https://www.deezer.com/track/42",
        "apple_music": "https://music.apple.com/us/song/1440933849",
    }


@pytest.mark.parametrize(
    ("offset", "ending"), [(None, ""), (0.0, ""), (0.9, ""), (63.9, "&t=63"), (3725.2, "&t=3725"), (-3.0, "")]
)
def test_youtube_begins_where_the_song_was_heard(offset: float | None, ending: str) -> None:
    link = links_of(Song(title="Song", ids=IDS, offset_seconds=offset))["youtube"]
    assert link == "https://www.youtube.com/watch?v=dQw4_9-gXcQ" + ending


def test_a_song_without_ids_has_no_links() -> None:
    assert links_of(Song(title="Song")) == dict.fromkeys(service.name for service in SERVICES)


@pytest.mark.parametrize(
    "hostile", ["../../evil", "a?b", "javascript:alert(1)", "//evil.example", "x" * 65, "a b", "", "a\n"]
)
def test_an_id_of_another_form_makes_no_link(hostile: str) -> None:
    ids = ExternalIds(spotify_track=hostile, youtube=hostile, deezer_track=hostile, apple_music=hostile)
    assert set(links_of(Song(title="Song", ids=ids)).values()) == {None}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (
            "https://open.spotify.com/track/5xTtaWoae3wi06K5WfVUUH?si=1",
            {"spotify_track": "5xTtaWoae3wi06K5WfVUUH"},
        ),
        (
            "https://open.spotify.com/intl-de/track/5xTtaWoae3wi06K5WfVUUH",
            {"spotify_track": "5xTtaWoae3wi06K5WfVUUH"},
        ),
        (" spotify:track:5xTtaWoae3wi06K5WfVUUH ", {"spotify_track": "5xTtaWoae3wi06K5WfVUUH"}),
        ("https://www.youtube.com/watch?v=dQw4_9-gXcQ&t=5", {"youtube": "dQw4_9-gXcQ"}),
        ("https://music.youtube.com/watch?v=dQw4_9-gXcQ", {"youtube": "dQw4_9-gXcQ"}),
        ("http://youtu.be/dQw4_9-gXcQ", {"youtube": "dQw4_9-gXcQ"}),
        ("https://www.deezer.com/track/42", {"deezer_track": "42"}),
        ("https://www.deezer.com/de/track/42?utm=x", {"deezer_track": "42"}),
        ("https://music.apple.com/us/song/paper-lanterns/1440933849", {"apple_music": "1440933849"}),
        ("https://music.apple.com/us/album/_/1440933840?i=1440933849&app=music", {"apple_music": "1440933849"}),
        ("https://geo.music.apple.com/us/album/x/14?i=15", {"apple_music": "15"}),
    ],
)
def test_ids_are_read_out_of_links(text: str, ids: dict[str, str]) -> None:
    found = ids_of_link(text)
    assert found is not None
    assert {name: getattr(found, name) for name in ids} == ids
    assert ids_of_link(text) == ExternalIds(**ids)  # pyright: ignore[reportArgumentType] - text fields only


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a song",
        "https://open.spotify.com/artist/5xTtaWoae3wi06K5WfVUUH",
        "https://open.spotify.com.evil.example/track/5xTtaWoae3wi06K5WfVUUH",
        "https://evil.example/track/5xTtaWoae3wi06K5WfVUUH",
        "javascript://open.spotify.com/track/5xTtaWoae3wi06K5WfVUUH",
        "https://www.youtube.com/watch?v=short",
        "https://www.youtube.com/watch",
        "https://music.apple.com/us/album/x/14",
        "https://www.deezer.com/track/" + "4" * 21,
        "https://[",
        "https://www.deezer.com/track/42" + "#" * 2000,
    ],
)
def test_other_texts_hold_no_id(text: str) -> None:
    assert ids_of_link(text) is None


def test_what_is_unknown_is_filled_in_and_what_is_known_stays() -> None:
    filled = ExternalIds(youtube="mine", deezer_artists=("1",)).filled(IDS)
    assert filled == ExternalIds(
        youtube="mine",
        deezer_artists=("1",),
        spotify_track=IDS.spotify_track,
        deezer_track="42",
        apple_music="1440933849",
    )
