"""usher.ttvnw.net: multivariant playlists of live channels and VODs, v1 and v2."""

import json
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from simulator.channel import Channel
from simulator.faults import Fault, FaultKind, FaultPlan, Step, taken
from simulator.hosts import Hosts
from simulator.odd_playlists import ODD
from simulator.playback_tokens import InvalidTokenError, PlaybackTokens
from simulator.renditions import AUDIO_ONLY, NO_SOUND, multivariant, offered
from simulator.signing import Signer
from simulator.transport import PlannedResponse, Transport
from simulator.usher_parameters import playlist_parameters
from simulator.video import Video
from simulator.world import World

M3U8: Final = "application/vnd.apple.mpegurl"
_ENTRIES: Final = (
    "#EXTINF",
    "#EXT-X-STREAM-INF",
    "#EXT-X-MEDIA:",
    "#EXT-X-PROGRAM-DATE",
    "#EXT-X-TWITCH-PREFETCH",
)
_TOKEN_NAMES: Final = {"token": ("token", "sig"), "nauth": ("nauth", "nauthsig")}


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
            content = self._verified(request, "token" if channel is None else channel.switches.token_names)
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
        parameters = playlist_parameters(request.query)
        switches = channel.switches
        renditions = offered(
            audio=switches.audio,
            parameters=parameters,
            seed=name,
            portrait=switches.portrait,
            enhanced=switches.enhanced,
            hevc_alone=switches.hevc_alone,
            transcodes=switches.audio != "missing",
        )

        def address(rendition: str) -> str:
            return self._live_address(channel, rendition, fast=parameters.fast)

        text = multivariant(
            renditions,
            lambda rendition: address(rendition.name),
            version=version,
            info=self._live_info(channel),
            parameters=parameters,
            session_data=switches.session_data,
            sound_address=address(AUDIO_ONLY) if switches.audio == "apart" else None,
        )
        return await self._playlist(request, name, plan, text, lambda: address(NO_SOUND))

    def _verified(self, request: web.Request, names: str) -> dict[str, Any]:
        """The token's content. `names`: the pair of names that is taken, or `both`. Raises InvalidTokenError."""
        query = request.query
        pairs = _TOKEN_NAMES.values() if names == "both" else (_TOKEN_NAMES[names],)
        value, signature = next((pair for pair in pairs if pair[0] in query), ("", ""))
        return self._tokens.verified(query.get(value), query.get(signature))

    def _live_address(self, channel: Channel, rendition: str, *, fast: bool) -> str:
        session = channel.join(rendition, fast=fast)
        sealed = self._signer.seal(
            {
                "k": "p",
                "c": str(channel.plan.user_id),
                "r": rendition,
                "j": session.joined,
                "a": session.preroll,
                "s": session.id,
                "f": session.fast,
                "b": session.broadcast,
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
        video = self._world.video(video_id)
        plan = None if video is None else video.faults
        try:
            content = self._verified(request, "both" if video is None else video.switches.token_names)
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
        parameters = playlist_parameters(request.query)
        renditions = offered(
            audio=video.switches.audio, parameters=parameters, seed=video_id, audio_label="Audio Only"
        )
        text = multivariant(
            renditions,
            lambda rendition: self._video_address(video, rendition.name),
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
            sound_address=self._video_address(video, AUDIO_ONLY) if video.switches.audio == "apart" else None,
        )
        return await self._playlist(
            request, video_id, plan, text, lambda: f"{self._hosts.video}/{video.root}/{NO_SOUND}/index-dvr.m3u8"
        )

    def _video_address(self, video: Video, rendition: str) -> str:
        file_name = "index-muted-SIMULATED0.m3u8" if video.plan.muted else "index-dvr.m3u8"
        return f"{self._hosts.video}/{video.root}/{rendition}/{file_name}"

    async def _playlist(
        self,
        request: web.Request,
        target: str,
        plan: FaultPlan | None,
        text: str,
        without_sound: Callable[[], str],
    ) -> web.StreamResponse:
        faults = self._faults(request, plan)
        for fault in faults:
            if fault.kind is FaultKind.NO_AUDIO:
                text = _without_sound(without_sound())
            else:
                text = bent(text, fault, str(request.url))
        planned = PlannedResponse(
            step=Step.USHER, body=text.encode(), content_type=M3U8, target=target, faults=faults
        )
        return await self._transport.send(request, planned)

    def _faults(self, request: web.Request, plan: FaultPlan | None) -> tuple[Fault, ...]:
        version = "v2" if "/v2/" in request.path else "v1"
        names = "nauth" if "nauth" in request.query else "token"
        return taken(Step.USHER, self._world.faults, plan, traits=(version, names))

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
            faults=self._faults(request, plan),
        )
        return await self._transport.send(request, planned)


def bent(text: str, fault: Fault, own_address: str) -> str:
    """A playlist without entries, or with addresses that no client may follow, as a fault asks for."""
    match fault.kind:
        case FaultKind.EMPTY_LIST:
            lines = text.splitlines(keepends=True)
            return "".join(line for line in lines if line.startswith("#") and not line.startswith(_ENTRIES))
        case FaultKind.FOREIGN_HOST:
            address = "https://media.example.com/stolen"
        case FaultKind.FILE_URI:
            address = "file:///etc/hostname"
        case FaultKind.SELF_REFERENCE:
            address = own_address
        case _:
            return ODD.get(fault.kind, str)(text)
    return "".join(line if line.startswith("#") else f"{address}\n" for line in text.splitlines(keepends=True))


def _without_sound(address: str) -> str:
    return f'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=230000,RESOLUTION=284x160,CODECS="avc1.4D400C"\n{address}\n'
