"""usher.ttvnw.net: multivariant playlists of live channels and VODs, v1 and v2."""

import json
from collections.abc import Callable
from typing import Final

from aiohttp import web

from simulator.faults import Fault, FaultKind, FaultPlan, Step, taken
from simulator.hosts import Hosts
from simulator.playback_tokens import InvalidTokenError, PlaybackTokens
from simulator.renditions import AUDIO_ONLY, PlaylistParameters, Rendition, multivariant, offered
from simulator.signing import Signer
from simulator.transport import PlannedResponse, Transport
from simulator.world import Channel, Video, World

M3U8: Final = "application/vnd.apple.mpegurl"
NO_SOUND: Final = "video_only"
"""A rendition that is listed only by a fault: its segments have a picture and no sound."""

_CODECS: Final = {"avc1": "h264", "h264": "h264", "h265": "h265", "hevc": "h265", "av1": "av1"}


class UsherRoutes:
    """Serves usher's multivariant playlists of channels and VODs."""

    def __init__(
        self, world: World, tokens: PlaybackTokens, signer: Signer, transport: Transport, hosts: Hosts
    ) -> None:
        self._world = world
        self._tokens = tokens
        self._signer = signer
        self._transport = transport
        self._hosts = hosts

    def add_to(self, app: web.Application) -> None:
        """Register the usher routes with the application."""
        app.router.add_get("/api/channel/hls/{name}.m3u8", self._live_v1)
        app.router.add_get("/api/v2/channel/hls/{name}.m3u8", self._live_v2)
        app.router.add_get("/vod/v2/{id:[0-9]+}{suffix:(\\.m3u8)?}", self._video_v2)
        app.router.add_get("/vod/{id:[0-9]+}{suffix:(\\.m3u8)?}", self._video_v1)

    async def _live_v1(self, request: web.Request) -> web.StreamResponse:
        return await self._live(request, 1)

    async def _live_v2(self, request: web.Request) -> web.StreamResponse:
        return await self._live(request, 2)

    async def _video_v1(self, request: web.Request) -> web.StreamResponse:
        return await self._video(request, 1)

    async def _video_v2(self, request: web.Request) -> web.StreamResponse:
        return await self._video(request, 2)

    async def _live(self, request: web.Request, version: int) -> web.StreamResponse:
        name = request.match_info["name"]
        channel = self._world.channels.get(name)
        plan = None if channel is None else channel.faults
        try:
            content = self._tokens.verified(request.query.get("token"), request.query.get("sig"))
        except InvalidTokenError:
            return await self._refuse(request, name, plan, 403)
        if content.get("channel") != name.lower():
            return await self._refuse(request, name, plan, 403)
        if channel is None or not channel.live:
            text = "twirp error not_found: transcode does not exist"
            return await self._refuse(request, name, plan, 404, "transcode_does_not_exist", text)
        if channel.switches.geoblocked:
            text = "Content Restricted In Region"
            return await self._refuse(request, name, plan, 403, "content_geoblocked", text)
        if channel.switches.subscriber_only:
            text = "User does not have the entitlements"
            return await self._refuse(request, name, plan, 403, "unauthorized_entitlements", text)
        parameters = _playlist_parameters(request)
        switches = channel.switches
        renditions = offered(
            audio=switches.audio,
            parameters=parameters,
            seed=name,
            portrait=switches.portrait,
            enhanced=switches.enhanced,
            transcodes=switches.audio != "missing",
        )
        text = multivariant(
            renditions,
            lambda rendition: self._live_address(channel, rendition.name),
            version=version,
            info=self._live_info(channel),
            parameters=parameters,
            session_data=switches.session_data,
        )
        return await self._playlist(request, name, plan, text, lambda: self._live_address(channel, NO_SOUND))

    def _live_address(self, channel: Channel, rendition: str) -> str:
        session = channel.join(rendition)
        sealed = self._signer.seal(
            {
                "k": "p",
                "c": str(channel.plan.user_id),
                "r": rendition,
                "j": session.joined,
                "a": session.preroll,
                "s": session.id,
            }
        )
        return f"{self._hosts.playlist}/v1/playlist/{sealed}.m3u8"

    def _live_info(self, channel: Channel) -> dict[str, str]:
        now = self._world.clock.time()
        return {
            "NODE": "video-edge-sim.local",
            "MANIFEST-NODE-TYPE": "weaver_cluster",
            "MANIFEST-NODE": "video-weaver.sim01",
            "SUPPRESS": "false",
            "SERVER-TIME": f"{now:.2f}",
            "TRANSCODESTACK": "2017TranscodeX264_V2",
            "TRANSCODEMODE": "cbr_v1",
            "USER-IP": "127.0.0.1",
            "SERVING-ID": "0123456789abcdef0123456789abcdef",
            "CLUSTER": "sim01",
            "ABS": "false",
            "VIDEO-SESSION-ID": str(channel.broadcast_id * 7),
            "BROADCAST-ID": str(channel.broadcast_id),
            "STREAM-TIME": f"{now - channel.started_at:.6f}",
            "FUTURE": "true",
            "B": "false",
            "USER-COUNTRY": "DE",
            "MANIFEST-CLUSTER": "sim01",
            "ORIGIN": "sim01",
            "C": "aHR0cHM6Ly9zaW0uaW52YWxpZA",
            "D": "false",
        }

    async def _video(self, request: web.Request, version: int) -> web.StreamResponse:
        video_id = request.match_info["id"]
        video = self._world.videos.get(video_id)
        plan = None if video is None else video.faults
        query = request.query
        try:
            content = self._tokens.verified(
                query.get("token") or query.get("nauth"), query.get("sig") or query.get("nauthsig")
            )
        except InvalidTokenError:
            return await self._refuse(request, video_id, plan, 403)
        if str(content.get("vod_id")) != video_id:
            return await self._refuse(request, video_id, plan, 403)
        if video is None or video.switches.missing:
            return await self._refuse(request, video_id, plan, 404)
        if video.switches.geoblocked:
            text = "Content Restricted In Region"
            return await self._refuse(request, video_id, plan, 403, "content_geoblocked", text)
        if video.switches.subscriber_only:
            text = "Manifest is restricted"
            return await self._refuse(request, video_id, plan, 403, "vod_manifest_restricted", text)
        parameters = _playlist_parameters(request)
        renditions = offered(
            audio=video.switches.audio, parameters=parameters, seed=video_id, audio_label="Audio Only"
        )
        text = multivariant(
            renditions,
            lambda rendition: self._video_address(video, rendition),
            version=version,
            info={
                "ORIGIN": "s3",
                "B": "false",
                "REGION": "EU",
                "USER-IP": "127.0.0.1",
                "SERVING-ID": "0123456789abcdef0123456789abcdef",
                "CLUSTER": "cloudfront_vod",
                "USER-COUNTRY": "DE",
                "MANIFEST-CLUSTER": "cloudfront_vod",
            },
            parameters=parameters,
        )
        return await self._playlist(
            request, video_id, plan, text, lambda: f"{self._hosts.video}/{video.root}/{NO_SOUND}/index-dvr.m3u8"
        )

    def _video_address(self, video: Video, rendition: Rendition) -> str:
        folder = AUDIO_ONLY if rendition.audio_only else rendition.name
        file_name = "index-muted-SIMULATED0.m3u8" if video.plan.muted else "index-dvr.m3u8"
        return f"{self._hosts.video}/{video.root}/{folder}/{file_name}"

    async def _playlist(
        self,
        request: web.Request,
        target: str,
        plan: FaultPlan | None,
        text: str,
        without_sound: Callable[[], str],
    ) -> web.StreamResponse:
        faults = taken(Step.USHER, self._world.faults, plan)
        for fault in faults:
            if fault.kind is FaultKind.NO_AUDIO:
                text = _without_sound(without_sound())
            else:
                text = bent(text, fault, str(request.url))
        planned = PlannedResponse(
            step=Step.USHER, body=text.encode(), content_type=M3U8, target=target, faults=faults
        )
        return await self._transport.send(request, planned)

    async def _refuse(
        self,
        request: web.Request,
        target: str,
        plan: FaultPlan | None,
        status: int,
        *error: str,
    ) -> web.StreamResponse:
        """Send usher's error: an array of one object, as exactly application/json; `error` is code and text."""
        body, kind = b"", "text/plain"
        if error:
            code, text = error
            shown = {"url": str(request.url.with_query(None)), "error": text, "error_code": code, "type": "error"}
            body, kind = json.dumps([shown]).encode(), "application/json"
        elif status == 404:
            body = b"Not found"
        planned = PlannedResponse(
            step=Step.USHER,
            body=body,
            content_type=kind,
            status=status,
            target=target,
            faults=taken(Step.USHER, self._world.faults, plan),
        )
        return await self._transport.send(request, planned)


def bent(text: str, fault: Fault, own_address: str) -> str:
    """A playlist with addresses that no client may follow, for faults that ask for it; otherwise unchanged."""
    match fault.kind:
        case FaultKind.FOREIGN_HOST:
            address = "https://media.example.com/stolen"
        case FaultKind.FILE_URI:
            address = "file:///etc/hostname"
        case FaultKind.SELF_REFERENCE:
            address = own_address
        case _:
            return text
    return "".join(line if line.startswith("#") else f"{address}\n" for line in text.splitlines(keepends=True))


def _without_sound(address: str) -> str:
    return f'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=230000,RESOLUTION=284x160,CODECS="avc1.4D400C"\n{address}\n'


def _playlist_parameters(request: web.Request) -> PlaylistParameters:
    query = request.query

    def on(name: str) -> bool:
        return query.get(name, "").lower() == "true"

    asked = query.get("supported_codecs", "h264").lower().split(",")
    return PlaylistParameters(
        audio_only=on("allow_audio_only"),
        source=on("allow_source"),
        codecs=frozenset(_CODECS[name.strip()] for name in asked if name.strip() in _CODECS),
        frame_rate=on("playlist_include_framerate"),
        multigroup=on("multigroup_video"),
        unavailable=on("include_unavailable"),
    )
