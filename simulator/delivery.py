"""Serves media playlists and segments of live channels."""

import asyncio
import re
from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from simulator.channel import Channel, Session
from simulator.disorder import MediaSwitches
from simulator.faults import Fault, FaultKind, Step, taken
from simulator.hosts import Hosts
from simulator.media import TICKS
from simulator.media_playlist import live_playlist
from simulator.renditions import AUDIO_ONLY, NO_SOUND
from simulator.signing import Signer
from simulator.timeline import Piece
from simulator.transport import PlannedResponse, Transport
from simulator.usher import M3U8, bent
from simulator.world import World

TS: Final = "video/mp2t"
MP4: Final = "video/mp4"
_AD_PTS: Final = 5 * TICKS
_PORTIONS: Final = 4
_MAX_SESSIONS: Final = 1_000
INIT: Final = re.compile(r"init-([0-9]{1,5})\.mp4")


class LiveRoutes:
    """Live media playlists and segments, at signed addresses that only the simulator can make."""

    def __init__(self, world: World, signer: Signer, transport: Transport, hosts: Hosts) -> None:
        self._world = world
        self._signer = signer
        self._transport = transport
        self._hosts = hosts
        self._first_texts: dict[str, str] = {}
        """The first playlist of each session."""

    def add_to(self, app: web.Application) -> None:
        """Register the live routes with the application."""
        app.router.add_get("/v1/playlist/{sealed}.m3u8", self._playlist)
        app.router.add_get("/v1/segment/{sealed}.{suffix:ts|mp4}", self._segment)

    async def _playlist(self, request: web.Request) -> web.StreamResponse:
        content = self._signer.unseal(request.match_info["sealed"])
        channel = None if content is None or content["k"] != "p" else self._world.channel_by_id(content["c"])
        if content is None or channel is None:
            return await self._transport.send(request, absent(Step.PLAYLIST))
        faults = taken(Step.PLAYLIST, self._world.faults, channel.faults, traits=(content["r"],))
        if not channel.live or content["b"] != channel.broadcast_id:
            return await self._transport.send(request, absent(Step.PLAYLIST, channel.login))
        session = Session(
            id=content["s"],
            rendition=content["r"],
            joined=content["j"],
            broadcast=content["b"],
            preroll=content["a"],
            fast=content["f"],
        )
        if any(fault.kind is FaultKind.NO_AUDIO for fault in faults):
            session = replace(session, rendition=NO_SOUND)
        text = self._text(channel, session)
        first = self._first_texts.setdefault(session.id, text)
        if any(fault.kind is FaultKind.BACKWARDS for fault in faults):
            text = first
        if len(self._first_texts) > _MAX_SESSIONS:
            self._first_texts.clear()
        for fault in faults:
            text = bent(text, fault, str(request.url))
        planned = PlannedResponse(
            step=Step.PLAYLIST, body=text.encode(), content_type=M3U8, target=channel.login, faults=faults
        )
        return await self._transport.send(request, planned)

    def _text(self, channel: Channel, session: Session) -> str:
        switches = channel.switches
        fragmented = switches.fragmented
        suffix = "mp4" if fragmented else "ts"

        def address(piece: Piece) -> str:
            sealed = self._signer.seal(
                {
                    "k": "s",
                    "c": str(channel.plan.user_id),
                    "r": session.rendition,
                    "b": piece.start,
                    "e": piece.end,
                    "n": piece.sequence,
                    "p": None if piece.pod is None else piece.pod.start,
                }
            )
            return f"{self._hosts.segment}/v1/segment/{sealed}.{suffix}?dna=sim"

        def init_address(number: int) -> str:
            sealed = self._signer.seal(
                {"k": "i", "c": str(channel.plan.user_id), "r": session.rendition, "n": number}
            )
            return f"{self._hosts.segment}/v1/segment/{sealed}.mp4"

        return live_playlist(
            channel.listed(session),
            channel.upcoming(session) if switches.prefetch else [],
            address=address,
            moment=channel.listed_moment,
            grid=channel.grid,
            now=channel.ticks,
            pods=channel.session_pods(session),
            session=session.id,
            media=switches,
            signs=channel.ad_signs,
            init_address=init_address if fragmented else None,
            sequence_offset=switches.sequence_offset,
            discontinuity_every=switches.discontinuity_every,
            ended=switches.ended,
            date=channel.listed_date,
            dates=switches.dates,
        )

    async def _segment(self, request: web.Request) -> web.StreamResponse:
        content = self._signer.unseal(request.match_info["sealed"])
        channel = None if content is None or content["k"] not in "si" else self._world.channel_by_id(content["c"])
        if content is None or channel is None:
            return await self._transport.send(request, absent(Step.SEGMENT))
        faults = taken(Step.SEGMENT, self._world.faults, channel.faults, traits=(content["r"],))
        fragmented = request.match_info["suffix"] == "mp4"
        if content["k"] == "i":
            body = self._world.muxer.init(video=_has_picture(channel, content["r"]), number=content["n"])
        elif not channel.servable(content["b"], content["e"]):
            return await self._transport.send(request, absent(Step.SEGMENT, channel.login))
        else:
            body = self._body(channel, content, fragmented=fragmented)
            if content["p"] is None:
                faults += breakage(channel.switches, content["n"])
        planned = PlannedResponse(
            step=Step.SEGMENT,
            body=body,
            content_type=MP4 if fragmented else TS,
            target=channel.login,
            faults=faults,
        )
        if content["k"] == "s" and content["e"] > channel.ticks and not faults:
            return await self._in_production(request, planned, channel, content)
        return await self._transport.send(request, planned)

    def _body(self, channel: Channel, content: dict[str, Any], *, fragmented: bool) -> bytes:
        rendition: str = content["r"]
        start, end = content["b"], content["e"]
        silent = rendition == NO_SOUND or (rendition != AUDIO_ONLY and channel.switches.audio == "apart")
        pod_start: int | None = content["p"]
        media: MediaSwitches = channel.switches
        ring, shift, pts, late = channel.program.ring, 0, media.clock(content["n"]), media.late_ticks(content["n"])
        if pod_start is not None:
            ring, shift, pts, late = self._world.ad_ring, pod_start, 0 if fragmented else _AD_PTS, 0
        return self._world.muxer.segment(
            ring,
            start - shift,
            end - shift,
            pts=pts,
            video=_has_picture(channel, rendition),
            fragmented=fragmented,
            silent=silent and not fragmented,
            late=late,
            init_number=media.init_number(content["n"]),
            picture_bytes=media.picture_bytes,
        )

    async def _in_production(
        self, request: web.Request, planned: PlannedResponse, channel: Channel, content: dict[str, Any]
    ) -> web.StreamResponse:
        """Send a prefetched segment in portions, each when the broadcast has reached it."""
        await asyncio.sleep(self._transport.note(request, planned))
        response = web.StreamResponse()
        response.content_type = planned.content_type
        response.enable_chunked_encoding()
        await response.prepare(request)
        size = -(-len(planned.body) // _PORTIONS)
        for number in range(_PORTIONS):
            due = content["b"] + (number + 1) * (content["e"] - content["b"]) // _PORTIONS
            await self._world.clock.sleep((due - channel.ticks) / TICKS)
            await response.write(planned.body[number * size : (number + 1) * size])
        await response.write_eof()
        return response


def _has_picture(channel: Channel, rendition: str) -> bool:
    return rendition != AUDIO_ONLY or channel.switches.audio_with_video


def breakage(media: MediaSwitches, number: int) -> tuple[Fault, ...]:
    """What becomes of a segment by the switches."""
    if media.is_encrypted(number):
        return (Fault(step=Step.SEGMENT, kind=FaultKind.BINARY),)
    if not media.is_broken(number):
        return ()
    match media.broken_as:
        case "empty":
            return (Fault(step=Step.SEGMENT, kind=FaultKind.EMPTY),)
        case "html":
            return (Fault(step=Step.SEGMENT, kind=FaultKind.HTML),)
        case _:
            return (Fault(step=Step.SEGMENT, kind=FaultKind.STATUS, status=404),)


def absent(step: Step, target: str = "", *, status: int = 404) -> PlannedResponse:
    """There is nothing at an address."""
    return PlannedResponse(step=step, body=b"", content_type="text/plain", status=status, target=target)
