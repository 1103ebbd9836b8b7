"""What Twitch's answers can do without: each such field missing, null or of another type, with errors or not."""

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest
from yarl import URL

from fingerprint.domain.problems import TwitchAudioError, UpstreamError
from fingerprint.media.fetch import Fetched
from fingerprint.ports import Broadcaster
from fingerprint.twitch import answers
from fingerprint.twitch.answers import GqlFailure, needed, parse_answer
from fingerprint.twitch.channels import TwitchChannels
from fingerprint.upstream_settings import TwitchSettings
from tests.unit.twitch.scripted import ScriptedFetcher

TOKEN = {
    "value": json.dumps(
        {
            "authorization": {"forbidden": False, "reason": ""},
            "geoblock_reason": "",
            "private": {"allowed_to_view": True},
            "channel_id": 7,
            "expires": 1,
        }
    ),
    "signature": "ab" * 20,
    "authorization": {"isForbidden": False, "forbiddenReasonCode": "NONE"},
    "__typename": "PlaybackAccessToken",
}
FILE = {
    "quality": "360",
    "frameRate": 30.0,
    "sourceURL": "https://clips.example/360.mp4",
    "videoCodec": "AVC",
    "bitrate": 600,
}
CLIP = {
    "durationSeconds": 20,
    "videoOffsetSeconds": 5,
    "video": {"id": "1"},
    "broadcaster": {"id": "7", "login": "somechannel"},
    "playbackAccessToken": TOKEN,
    "videoQualities": [FILE],
    "assets": [{"aspectRatio": 1.7778, "videoQualities": [dict(FILE)]}],
}
OTHERS: Sequence[Any] = (None, 17, -0.5, "text", False, [], {}, [0], {"a": {}})
ERRORS: Sequence[dict[str, Any]] = (
    {},
    {"errors": [{"message": "service error", "path": ["x"]}]},
    {"errors": [{"message": "brand new"}], "extensions": {"challenge": {"type": "integrity"}}},
)

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """Data of an answer, what is found in it, and which of its fields cannot be done without."""

    data: dict[str, Any]
    parse: Callable[[dict[str, Any]], object]
    essential: frozenset[Path]
    either: tuple[Path, Path] | None = None
    """Two fields of which one suffices."""


def token(name: str) -> Answered:
    return Answered(
        {name: TOKEN},
        lambda data: answers.parse_token_of(data, name=name, subject="broadcast"),
        frozenset({(name,), (name, "value"), (name, "signature")}),
    )


SHAPES = {
    "channel": token("streamPlaybackAccessToken"),
    "video": token("videoPlaybackAccessToken"),
    "clip": Answered(
        {"clip": CLIP},
        answers.parse_clip,
        frozenset(
            {
                ("clip",),
                ("clip", "playbackAccessToken"),
                ("clip", "playbackAccessToken", "value"),
                ("clip", "playbackAccessToken", "signature"),
            }
        ),
        either=(("clip", "videoQualities"), ("clip", "assets")),
    ),
    "clip's broadcaster": Answered(
        {"clip": {"broadcaster": {"id": "7", "login": "somechannel", "displayName": "x"}, "title": "x"}},
        answers.parse_clip_broadcaster,
        frozenset(
            {("clip",), ("clip", "broadcaster"), ("clip", "broadcaster", "id"), ("clip", "broadcaster", "login")}
        ),
    ),
    "video's owner": Answered(
        {"video": {"owner": {"id": "7", "login": "somechannel", "displayName": "x"}, "title": "x"}},
        answers.parse_video_owner,
        frozenset({("video",), ("video", "owner"), ("video", "owner", "id"), ("video", "owner", "login")}),
    ),
    "newest recording": Answered(
        {"user": {"videos": {"edges": [{"node": {"id": "9", "title": "x"}, "cursor": "x"}], "pageInfo": {}}}},
        answers.parse_recording,
        frozenset(
            {
                ("user",),
                ("user", "videos"),
                ("user", "videos", "edges"),
                ("user", "videos", "edges", 0),
                ("user", "videos", "edges", 0, "node"),
                ("user", "videos", "edges", 0, "node", "id"),
            }
        ),
    ),
}


def paths(value: object, path: Path = ()) -> Iterator[Path]:
    """Each field and item in data, from the outside to the inside."""
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items = list(cast("dict[str | int, object]", value).items())
    elif isinstance(value, list):
        items = list(enumerate(cast("list[object]", value)))
    for name, inner in items:
        yield (*path, name)
        yield from paths(inner, (*path, name))


def changed(data: dict[str, Any], path: Path) -> Iterator[dict[str, Any]]:
    """The data without what is at a path, and with something else there."""
    for other in (..., *OTHERS):
        copied = copy.deepcopy(data)
        holder: Any = copied
        for name in path[:-1]:
            holder = holder[name]
        if isinstance(other, str) and isinstance(holder[path[-1]], str):
            continue  # the same type
        if other == 17 and str(holder[path[-1]]).isdigit():
            continue  # an id, which may be a number
        if other is not ...:
            holder[path[-1]] = other
        elif isinstance(holder, dict):
            del holder[path[-1]]
        else:
            continue
        yield copied


def read(shape: Answered, data: dict[str, Any], extra: dict[str, Any]) -> object:
    return needed(parse_answer(200, json.dumps({"data": data, **extra})), shape.parse)


@pytest.mark.parametrize("extra", ERRORS, ids=["alone", "error", "integrity"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_what_can_be_done_without_refuses_nothing(shape: Answered, extra: dict[str, Any]) -> None:
    assert read(shape, shape.data, extra) is not None
    optional = [path for path in paths(shape.data) if path not in shape.essential]
    assert optional
    for path in optional:
        for data in changed(shape.data, path):
            assert read(shape, data, extra) is not None, (path, data)
    if shape.either is not None:
        for path, other in (shape.either, shape.either[::-1]):
            for data in changed(shape.data, path):
                assert read(shape, data, extra) is not None
                for emptied in changed(data, other):
                    ends_well(shape, emptied, extra)


@pytest.mark.parametrize("extra", ERRORS, ids=["alone", "error", "integrity"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_without_what_is_needed_there_is_nothing_or_a_reason(shape: Answered, extra: dict[str, Any]) -> None:
    for path in shape.essential:
        for data in changed(shape.data, path):
            assert ends_well(shape, data, extra) is None, (path, data)


def ends_well(shape: Answered, data: dict[str, Any], extra: dict[str, Any]) -> object:
    """What is found; None for nothing, and for the problems that say so. Other exceptions fail the test."""
    try:
        found = read(shape, data, extra)
    except (GqlFailure, TwitchAudioError):
        return None
    assert found is not None or not extra, "beside errors, nothing is no fact"
    return found


CHANNEL = {"user": {"id": "7", "login": "NewName", "displayName": "New Name", "roles": {"isPartner": True}}}


@pytest.mark.parametrize("extra", ERRORS, ids=["alone", "error", "integrity"])
async def test_a_channels_name_needs_no_more_than_its_id_and_login(extra: dict[str, Any]) -> None:
    settings = TwitchSettings(gql_url=URL("https://gql.twitch.tv/gql"), usher_url=URL("https://usher.ttvnw.net/"))
    for path in paths(CHANNEL):
        for data in changed(CHANNEL, path):
            body = json.dumps({"data": data, **extra}).encode()
            fetcher = ScriptedFetcher(lambda _sent, body=body: Fetched(200, body))
            try:
                found = await TwitchChannels(fetcher, settings).by_id("7")
            except UpstreamError:
                found = None
            needs = path in (("user",), ("user", "id"), ("user", "login"))
            assert found == (None if needs else Broadcaster(id="7", login="newname"))
