"""What is fuzzed: each subject takes any bytes, and raises nothing but what it may not raise.

The small corpus beside this file is run by the ordinary tests too.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import TwitchTarget, parse_target
from fingerprint.hls.ads import ad_is_running, ad_seconds_left, content_runs, next_content, unknown_signs
from fingerprint.hls.attributes import PlaylistError, address
from fingerprint.hls.live import newest_content, total_seconds
from fingerprint.hls.playlist import (
    MAX_SEGMENT_SECONDS,
    MediaPlaylist,
    choose_audio,
    parse_media,
    parse_multivariant,
)
from fingerprint.hls.takes import MAX_EARLIER_TAKES, earlier_takes, later_take

BASE: Final = URL("https://euc13.playlist.ttvnw.net/v1/playlist/abc.m3u8")
CORPUS: Final = Path(__file__).parent / "corpus"


def playlist(content: bytes) -> None:
    """Both readers, and everything that looks at what they give."""
    text = content.decode("utf-8", "replace")
    try:
        rendition = choose_audio(parse_multivariant(text))
    except PlaylistError:
        pass
    else:
        if rendition is not None:
            _address(rendition.uri)
    try:
        media = parse_media(text)
    except PlaylistError:
        return
    _media(media)


def _media(media: MediaPlaylist) -> None:
    listed = set(media.segments)
    list(unknown_signs(media))
    following = next_content(media)
    if following is not None:
        assert following in media.prefetch
        assert not ad_is_running(media)
        _address(following)
    for segment in media.segments[:50]:
        assert 0 <= segment.duration_seconds <= MAX_SEGMENT_SECONDS
        _address(segment.uri)
    for run in content_runs(media):
        assert run
        assert set(run) <= listed
        assert len({segment.init for segment in run}) == 1
    ad_is_running(media)
    left = ad_seconds_left(media)
    assert left is None or left >= 0
    taken = newest_content(media, wanted_seconds=6.0, enough_seconds=3.0)
    if not taken:
        return
    assert total_seconds(taken) >= 3.0
    takes = earlier_takes(media, taken, take_seconds=12.0, enough_seconds=3.0)
    assert len(takes) <= MAX_EARLIER_TAKES
    for take in (*takes, later_take(media, taken[-1], new_seconds=6.0, take_seconds=12.0)):
        assert set(take) <= listed
        assert len(take) <= 1 or total_seconds(take) <= 12.1


def _address(uri: str) -> None:
    try:
        url = address(BASE, uri)
    except PlaylistError:
        return
    assert url.scheme in ("http", "https")
    assert url.host


def target(content: bytes) -> None:
    """The reader of what people paste."""
    problem: TwitchAudioError | None = None
    found: TwitchTarget | None = None
    try:
        found = parse_target(content.decode("utf-8", "replace"))
    except TwitchAudioError as error:
        problem = error
    if found is None:
        assert problem is not None
        assert problem.code is ProblemCode.INVALID_INPUT
        assert 0 < len(problem.detail) < 500
        return
    assert found.name.isascii()
    assert 0 < len(found.name) <= 128
    assert not set(found.name) & set(" /?#%\\\"'<>\r\n\t\0")
    assert len(found.key) < 250


SUBJECTS: Final[Mapping[str, Callable[[bytes], None]]] = {"playlist": playlist, "target": target}
