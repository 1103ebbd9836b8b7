"""Set lists as plain links, for a service's own playlists."""

from fingerprint.domain.identification import ExternalIds, Song
from server.api.link_files import LINK_FILES, VIDEOS_AT_ONCE, empty_link_files
from tests.builders import song

SPOTIFY, YOUTUBE = LINK_FILES["spotify.txt"], LINK_FILES["youtube.txt"]


def video(number: int) -> str:
    return f"{number:011}"


def of_youtube(number: int, offset: float = 0.0) -> Song:
    return song(f"Song {number}", ids=ExternalIds(youtube=video(number)), offset_seconds=offset)


def test_each_song_is_one_link_in_the_order_heard() -> None:
    first, second = ("4uLU6hMCjMI75M1A2tKUQC", "7ouMYWpwJ422jRcDASZB7P")
    songs = [
        song("B", ids=ExternalIds(spotify_track=second)),
        song("Unknown"),
        song("A", ids=ExternalIds(spotify_track=first)),
        song("B", ids=ExternalIds(spotify_track=first)),
        song("A (again)", ids=ExternalIds(spotify_track=first)),
    ]
    assert SPOTIFY(songs).splitlines() == [
        f"https://open.spotify.com/track/{second}",
        f"https://open.spotify.com/track/{first}",
    ]
    assert SPOTIFY([song("Unknown")]) == ""


def test_youtube_gets_one_more_link_that_plays_all_from_their_starts() -> None:
    assert YOUTUBE([of_youtube(1, offset=63.0), of_youtube(2), of_youtube(1)]).splitlines() == [
        f"https://www.youtube.com/watch_videos?video_ids={video(1)},{video(2)}",
        f"https://www.youtube.com/watch?v={video(1)}",
        f"https://www.youtube.com/watch?v={video(2)}",
    ]
    many = YOUTUBE(of_youtube(number) for number in range(VIDEOS_AT_ONCE + 7)).splitlines()
    assert len(many) == 1 + VIDEOS_AT_ONCE + 7
    assert many[0].endswith(f",{video(VIDEOS_AT_ONCE - 1)}")
    assert many[0].count(",") == VIDEOS_AT_ONCE - 1


def test_a_hostile_id_is_no_line() -> None:
    for text in ("a\nhttps://evil.example/", "a,b", "../x", ""):
        assert YOUTUBE([song("A", ids=ExternalIds(youtube=text))]) == "", text


def test_files_that_would_be_empty_are_not_offered() -> None:
    assert empty_link_files([song("A")]) == {"spotify.txt", "youtube.txt"}
    assert empty_link_files([song("A"), of_youtube(1)]) == {"spotify.txt"}
