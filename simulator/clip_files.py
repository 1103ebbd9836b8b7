"""Clips in gql's answers, and their files: three forms of addresses, signatures, byte ranges."""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from simulator.channel import Channel
from simulator.clip import Clip
from simulator.clock import iso
from simulator.faults import Step, taken
from simulator.hosts import Hosts
from simulator.media import remuxed
from simulator.playback_tokens import InvalidTokenError, PlaybackTokens
from simulator.transport import PlannedResponse, Transport, ranged
from simulator.world import World

_LANDSCAPE: Final = (("1080", 60.0, 1920), ("720", 60.0, 1280), ("480", 30.0, 852), ("360", 30.0, 640))
_NUMBERED: Final = re.compile(r"AT-cm\|(\d+)(?:-[\w-]+)?\.mp4")
_PORTRAIT: Final = (("918", 30.0, 516), ("607", 30.0, 342))


def file_id(clip: Clip) -> str:
    """A UUID-like name for the clip's files, derived from the clip."""
    digits = hashlib.sha256(clip.plan.slug.encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"


def file_number(clip: Clip) -> int:
    """The number in the clip's file address of the oldest form."""
    return int(hashlib.sha256(clip.plan.slug.encode()).hexdigest()[:8], 16)


def _address(clip: Clip, hosts: Hosts, name: str) -> str:
    match clip.plan.address:
        case "percent":
            return f"{hosts.clip}/AT-cm%7C{file_number(clip)}-{name}.mp4"
        case "signed":
            rest = "Policy=eyJTdGF0ZW1lbnQiOltdfQ__&Signature=c2lt~bWVk-__&Key-Pair-Id=K0SIMULATED"
            return f"{hosts.clip}/{file_id(clip)}/source1/{name}.mp4?{rest}"
        case _:
            return f"{hosts.clip}/v2/media/{quote(clip.plan.slug)}/{file_id(clip)}/video-{name}.mp4"


def _quality(clip: Clip, hosts: Hosts, kind: tuple[str, float, int]) -> dict[str, Any]:
    name, rate, width = kind
    codec = "HEVC" if name == "1440" else "AVC"
    file_name = "vtg-video-1440" if name == "1440" else name
    empty = clip.switches.empty_source_urls or name == "918"
    return {
        "bitrate": width * 4,
        "codecs": "hvc1.1.6.L150.90,mp4a.40.2" if codec == "HEVC" else "avc1.4D401F,mp4a.40.2",
        "duration": clip.seconds,
        "height": int(name),
        "width": width,
        "videoCodec": codec,
        "frameRate": rate,
        "quality": name,
        # Twitch lists renditions that were never made: an empty address.
        "sourceURL": "" if empty else _address(clip, hosts, file_name),
        "__typename": "ClipVideoQuality",
    }


def describe_game(channel: Channel) -> dict[str, Any]:
    """The GraphQL object of the game that a channel broadcasts."""
    name = channel.plan.game
    return {"id": "26936", "name": name, "displayName": name, "__typename": "Game"}


def describe(clip: Clip, world: World, hosts: Hosts, tokens: PlaybackTokens) -> dict[str, Any]:
    """The clip's GraphQL object, with its renditions and token."""
    plan = clip.plan
    landscape: list[dict[str, Any]] = []
    portrait: list[dict[str, Any]] = []
    if not clip.switches.not_ready:
        if clip.switches.hevc_top:
            landscape.append(_quality(clip, hosts, ("1440", 60.0, 2560)))
        landscape += [_quality(clip, hosts, kind) for kind in _LANDSCAPE]
        if not clip.switches.no_portrait:
            portrait = [_quality(clip, hosts, kind) for kind in _PORTRAIT]
    assets = [_asset(clip, "landscape", 16 / 9, landscape)]
    if portrait:
        assets.append(_asset(clip, "portrait", 9 / 16, portrait))
    channel = world.channels.get(plan.login)
    return {
        "id": str(file_number(clip)),
        "slug": plan.slug,
        "title": plan.title,
        "url": f"https://clips.twitch.tv/{plan.slug}",
        "embedURL": f"https://clips.twitch.tv/embed?clip={plan.slug}",
        "durationSeconds": int(clip.seconds),
        "createdAt": iso(clip.created_at),
        "viewCount": 1234,
        "language": "EN",
        "thumbnailURL": "",
        "isPublished": True,
        "broadcaster": None
        if channel is None
        else {
            "id": str(channel.plan.user_id),
            "login": channel.login,
            "displayName": channel.plan.display_name,
            "__typename": "User",
        },
        "curator": None,
        "game": None if channel is None else describe_game(channel),
        **_place(clip, channel, world),
        "playbackAccessToken": partial(_token, clip, hosts, tokens),
        "videoQualities": landscape,
        "assets": assets,
        "__typename": "Clip",
    }


def _place(clip: Clip, channel: Channel | None, world: World) -> dict[str, Any]:
    """Where the clip is in the recording of its channel's broadcast, which Twitch does not always tell."""
    recording = None if channel is None or clip.switches.offset < 0 else world.recording(channel)
    if recording is None:
        return {"video": None, "videoOffsetSeconds": None}
    video = {"id": recording.plan.video_id, "createdAt": iso(recording.created_at), "__typename": "Video"}
    return {"video": video, "videoOffsetSeconds": int(clip.switches.offset)}


def _token(clip: Clip, hosts: Hosts, tokens: PlaybackTokens, _arguments: Mapping[str, Any]) -> dict[str, Any]:
    return tokens.for_clip(clip, _address(clip, hosts, "360"))


def _asset(clip: Clip, kind: str, aspect: float, qualities: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"{file_id(clip)}-{kind}",
        "aspectRatio": round(aspect, 4),
        "createdAt": iso(clip.created_at),
        "creationState": "CREATING" if clip.switches.not_ready else "CREATED",
        "curator": None,
        "thumbnailURL": "",
        "videoQualities": qualities,
        "portraitMetadata": None,
        "__typename": "ClipAsset",
    }


class ClipRoutes:
    """Serves clip files. Every quality is the same small file, since only its sound matters here."""

    def __init__(self, world: World, tokens: PlaybackTokens, transport: Transport) -> None:
        self._world = world
        self._tokens = tokens
        self._transport = transport
        self._last_remuxed: tuple[tuple[object, ...], bytes] | None = None
        self._by_id = {file_id(clip): clip for clip in world.clips.values()}
        self._by_number = {str(file_number(clip)): clip for clip in world.clips.values()}

    def add_to(self, app: web.Application) -> None:
        """Register the clip file routes with the application."""
        app.router.add_get("/v2/media/{slug}/{id}/{name}", self._by_uuid)
        app.router.add_get("/{id:[0-9a-f-]{36}}/source1/{name}", self._by_uuid)
        app.router.add_get("/{name:AT-cm[^/]*}", self._numbered)

    async def _by_uuid(self, request: web.Request) -> web.StreamResponse:
        clip = self._by_id.get(request.match_info["id"])
        if clip is not None and request.match_info.get("slug", clip.plan.slug) != clip.plan.slug:
            clip = None
        return await self._serve(request, clip)

    async def _numbered(self, request: web.Request) -> web.StreamResponse:
        number = _NUMBERED.fullmatch(request.match_info["name"])
        return await self._serve(request, None if number is None else self._by_number.get(number[1]))

    async def _serve(self, request: web.Request, clip: Clip | None) -> web.StreamResponse:
        if clip is None or clip.switches.missing:
            return await self._refuse(request, 404, clip)
        try:
            content = self._tokens.verified(request.query.get("token"), request.query.get("sig"))
        except InvalidTokenError as refusal:
            status = clip.switches.expired_status if refusal.expired else clip.switches.unsigned_status
            return await self._refuse(request, status, clip)
        if content.get("clip_slug") != clip.plan.slug or clip.switches.subscriber_only:
            return await self._refuse(request, 403, clip)
        faults = taken(Step.CLIP, self._world.faults, clip.faults)
        body = clip.content
        if clip.switches.remuxing:
            body = await asyncio.to_thread(self._remuxed, clip)
        planned = PlannedResponse(
            step=Step.CLIP, body=body, content_type="video/mp4", target=clip.plan.slug, faults=faults
        )
        return await self._transport.send(request, ranged(request, planned))

    def _remuxed(self, clip: Clip) -> bytes:
        """The file that a clip's switches ask for; the newest one is kept, since players ask for ranges of it."""
        key = clip.plan.slug, tuple(clip.switches.remuxing.values())
        last = self._last_remuxed
        if last is None or last[0] != key:
            last = self._last_remuxed = key, remuxed(clip.content, **clip.switches.remuxing)
        return last[1]

    async def _refuse(self, request: web.Request, status: int, clip: Clip | None) -> web.StreamResponse:
        target = "" if clip is None else clip.plan.slug
        planned = PlannedResponse(
            step=Step.CLIP, body=b"", content_type="text/plain", status=status, target=target
        )
        return await self._transport.send(request, planned)
