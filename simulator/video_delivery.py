"""Serves the media playlists and segments of VODs on their content servers."""

from aiohttp import web

from simulator.delivery import INIT, MP4, TS, absent, breakage
from simulator.disorder import MediaSwitches
from simulator.faults import Step, taken
from simulator.media import TICKS
from simulator.media_playlist import video_playlist
from simulator.renditions import AUDIO_ONLY, NO_SOUND
from simulator.transport import PlannedResponse, Transport, ranged
from simulator.usher import M3U8, bent
from simulator.video import Video
from simulator.world import World


class VideoRoutes:
    """VODs as files in a folder with an unguessable name, as on their content servers."""

    def __init__(self, world: World, transport: Transport) -> None:
        self._world = world
        self._transport = transport

    def add_to(self, app: web.Application) -> None:
        """Register the VOD routes with the application."""
        app.router.add_get("/{root:[0-9a-f]{20}_[a-z0-9_]+_[0-9]+_[0-9]+}/{group}/{file}", self._file)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        video = self._world.video_at(request.match_info["root"])
        name = request.match_info["file"]
        if video is None or video.switches.missing or video.switches.sound_gone:
            return await self._transport.send(request, absent(Step.PLAYLIST if "index" in name else Step.SEGMENT))
        if name.startswith("index-") and name.endswith(".m3u8"):
            return await self._playlist(request, video)
        return await self._segment(request, video, name)

    async def _playlist(self, request: web.Request, video: Video) -> web.StreamResponse:
        traits = (request.match_info["group"],)
        faults = taken(Step.PLAYLIST, self._world.faults, video.faults, traits=traits)
        suffix = "mp4" if video.switches.fragmented else "ts"
        listed: list[tuple[str, int]] = []
        for number, (start, end) in enumerate(_video_segments(video)):
            muted = video.is_muted(start / TICKS, end / TICKS)
            name = "all" if video.switches.byte_ranges else f"{number}{'-unmuted' if muted else ''}"
            listed.append((f"{name}.{suffix}", end - start))
        lengths: list[int] = []
        if video.switches.byte_ranges:
            group = request.match_info["group"]
            lengths = [len(self._body(video, group, number)) for number in range(len(listed))]
        text = video_playlist(
            listed,
            lengths=lengths,
            created_at=video.created_at,
            recording=video.is_recording,
            media=video.switches,
            init_address="init-{}.mp4".format if video.switches.fragmented else None,
        )
        for fault in faults:
            text = bent(text, fault, str(request.url))
        planned = PlannedResponse(
            step=Step.PLAYLIST, body=text.encode(), content_type=M3U8, target=video.plan.video_id, faults=faults
        )
        return await self._transport.send(request, planned)

    async def _segment(self, request: web.Request, video: Video, name: str) -> web.StreamResponse:
        traits = (request.match_info["group"],)
        faults = taken(Step.SEGMENT, self._world.faults, video.faults, traits=traits)
        stem, _, suffix = name.partition(".")
        fragmented = suffix == "mp4"
        target = video.plan.video_id
        media = video.switches
        if init := INIT.fullmatch(name):
            body = self._world.muxer.init(video=request.match_info["group"] != AUDIO_ONLY, number=int(init[1]))
        elif stem == "all" and suffix in ("ts", "mp4") and media.byte_ranges:
            group = request.match_info["group"]
            body = b"".join(self._body(video, group, number) for number in range(len(_video_segments(video))))
        else:
            number, _, mark = stem.partition("-")
            segments = _video_segments(video)
            if suffix not in ("ts", "mp4") or not number.isdecimal() or int(number) >= len(segments):
                return await self._transport.send(request, absent(Step.SEGMENT, target))
            start, end = segments[int(number)]
            muted = video.is_muted(start / TICKS, end / TICKS)
            if muted != (mark == "muted") or mark not in ("", "muted"):
                return await self._transport.send(request, absent(Step.SEGMENT, target, status=403))
            faults += breakage(media, int(number))
            body = self._body(video, request.match_info["group"], int(number), fragmented=fragmented)
        planned = PlannedResponse(
            step=Step.SEGMENT,
            body=body,
            content_type=MP4 if fragmented else TS,
            target=target,
            faults=faults,
        )
        return await self._transport.send(request, ranged(request, planned))

    def _body(self, video: Video, group: str, number: int, *, fragmented: bool | None = None) -> bytes:
        """A segment; silence where the VOD is muted."""
        media: MediaSwitches = video.switches
        start, end = _video_segments(video)[number]
        muted = video.is_muted(start / TICKS, end / TICKS)
        pause = round(video.switches.pause_before(start / TICKS) * TICKS)
        as_mp4 = media.fragmented if fragmented is None else fragmented
        return self._world.muxer.segment(
            self._world.silence_ring if muted else video.program.ring,
            start + pause,
            end + pause,
            pts=media.clock(number),
            video=group != AUDIO_ONLY,
            fragmented=as_mp4,
            silent=_is_silent(video, group) and not as_mp4,
            late=media.late_ticks(number),
            init_number=media.init_number(number),
            picture_bytes=media.picture_bytes,
        )


def _is_silent(video: Video, group: str) -> bool:
    return group == NO_SOUND or (group != AUDIO_ONLY and video.switches.audio == "apart")


def _video_segments(video: Video) -> list[tuple[int, int]]:
    """Start and end of each segment in ticks; a VOD that is being recorded lists whole segments only."""
    length = video.program.ring.ticks
    segment = round(video.switches.segment_seconds * TICKS)
    if video.live is not None:
        length = int(video.recorded_seconds * TICKS + 1) // segment * segment
    elif video.switches.recording:
        length = min(length, int(video.recorded_seconds * TICKS + 1) // segment * segment)
    return [(start, min(start + segment, length)) for start in range(0, length, segment)]
