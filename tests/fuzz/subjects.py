"""What is fuzzed: each subject takes any bytes, and raises nothing but what it may not raise.

The small corpus beside this file is run by the ordinary tests too.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import pairwise
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
    by_preference,
    parse_media,
    parse_multivariant,
)
from fingerprint.hls.takes import MAX_EARLIER_TAKES, earlier_takes, later_take
from fingerprint.media.containers import container_of, first_timestamp, missing_bytes, unknown_boxes
from fingerprint.media.fetch import Fetched
from fingerprint.media.fragment_filter import FragmentError, FragmentFilter, SoundTracks, sound_tracks
from fingerprint.media.sound_filter import SoundFilter
from fingerprint.media.sound_table import (
    MAX_SOUND_BYTES,
    DescriptionError,
    behind_media,
    description,
    sound_table,
)
from fingerprint.twitch.answers import (
    GqlFailure,
    needed,
    parse_answer,
    parse_clip,
    parse_clip_broadcaster,
    parse_recording,
    parse_token_of,
    parse_video_owner,
)
from fingerprint.twitch.usher import PlaylistKind, UsherFailure, live_broadcast
from fingerprint.twitch.usher import parse_answer as parse_usher

BASE: Final = URL("https://euc13.playlist.ttvnw.net/v1/playlist/abc.m3u8")
CORPUS: Final = Path(__file__).parent / "corpus"


def playlist(content: bytes) -> None:
    """Both readers, and everything that looks at what they give."""
    text = content.decode("utf-8", "replace")
    try:
        renditions = by_preference(parse_multivariant(text))
    except PlaylistError:
        pass
    else:
        for rendition in renditions:
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


def boxes(content: bytes) -> None:
    """The readers of MP4: of whole segments, of descriptions, and of fragments that come in pieces."""
    for container in ("mpegts", "mp4", "aac"):
        stamp = first_timestamp(content, container, head=content)
        assert stamp is None or stamp >= 0
    container_of(content, has_init=True)
    unknown_boxes(content)
    assert missing_bytes(content) >= 0
    behind_media(content)
    try:
        found = description(content)
    except DescriptionError:
        found = content
    for moov in (found, content):
        if isinstance(moov, int):
            assert moov > 0
            continue
        try:
            table = sound_table(moov, max_seconds=90)
        except DescriptionError:
            continue
        assert 0 < sum(end - start for start, end in table.ranges) <= MAX_SOUND_BYTES
        assert all(end < start for (_, end), (start, _) in pairwise(table.ranges))
    tracks = sound_tracks(content)
    for kept in (SoundFilter(), FragmentFilter(partial(_known, tracks))):
        with suppress(FragmentError):
            assert len(_fed(kept, content)) <= len(content) + 1024


async def _known(tracks: SoundTracks | None) -> SoundTracks | None:
    return tracks


def _fed(kept: SoundFilter | FragmentFilter, content: bytes) -> bytes:
    """What a filter keeps of two pieces; nothing in it waits."""

    async def feed() -> bytes:
        middle = len(content) // 2
        return await kept.feed(content[:middle]) + await kept.feed(content[middle:]) + kept.finish()

    feeding = feed()
    try:
        feeding.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


def answer(content: bytes) -> None:
    """The readers of gql's and usher's answers."""
    text = content.decode("utf-8", "replace")
    for status in (200, 403, 503):
        with suppress(GqlFailure):
            data = parse_answer(status, text)
            for parse in (parse_clip, parse_recording, parse_clip_broadcaster, parse_video_owner):
                with suppress(GqlFailure, TwitchAudioError):
                    needed(data, parse)
            for name in data.data:
                with suppress(GqlFailure, TwitchAudioError):
                    needed(data, partial(parse_token_of, name=name, subject="clip"))
        for kind in PlaylistKind:
            with suppress(UsherFailure, TwitchAudioError):
                assert parse_usher(kind, Fetched(status, content), BASE)
                live_broadcast(text)


SUBJECTS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "playlist": playlist,
    "target": target,
    "boxes": boxes,
    "answer": answer,
}
