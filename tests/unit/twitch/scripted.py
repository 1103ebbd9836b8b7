"""A fetcher that answers gql and usher from a script, and keeps what was asked."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from yarl import URL

from fingerprint.domain.problems import UpstreamError
from fingerprint.media.fetch import BodyFilter, Fetched, Fetcher
from fingerprint.media.hosts import AllowList

AUDIO = "https://pop.playlist.ttvnw.net/v1/playlist/audio.m3u8"
SMALL = "https://pop.playlist.ttvnw.net/v1/playlist/160.m3u8"
PLAYLIST = f"""#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=230000,RESOLUTION=284x160,CODECS="avc1.4D000C,mp4a.40.2",STABLE-VARIANT-ID="160p30"
{SMALL}
#EXT-X-STREAM-INF:BANDWIDTH=160000,CODECS="mp4a.40.2",STABLE-VARIANT-ID="audio_only"
{AUDIO}
"""
HTML = "<!DOCTYPE html><html><title>403 Forbidden</title></html>"


def refusal(status: int, code: str = "", error: str = "") -> Fetched:
    """usher's own error."""
    body = [{"url": "u", "error": error, "error_code": code, "type": "error"}]
    return Fetched(status, json.dumps(body).encode(), "application/json")


def good() -> Fetched:
    return Fetched(200, PLAYLIST.encode())


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was made."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)


class ScriptedFetcher(Fetcher):
    """Calls `answer` for each request, and raises what it returns when that is an error."""

    def __init__(self, answer: Callable[[Sent], Fetched | UpstreamError]) -> None:
        super().__init__(AllowList.of_origins([]), upstream="Twitch")
        self._answer = answer
        self.sent: list[Sent] = []

    async def get(
        self,
        url: URL,
        *,
        step: str,
        max_bytes: int,
        total_seconds: float,
        headers: Mapping[str, str] | None = None,
        stall_seconds: float | None = None,
        new_filter: Callable[[int], BodyFilter] | None = None,
    ) -> Fetched:
        return self._note(Sent("GET", url, headers or {}))

    async def post(
        self,
        url: URL,
        body: bytes,
        *,
        step: str,
        max_bytes: int,
        total_seconds: float,
        headers: Mapping[str, str],
    ) -> Fetched:
        return self._note(Sent("POST", url, headers, body))

    def _note(self, sent: Sent) -> Fetched:
        self.sent.append(sent)
        found = self._answer(sent)
        if isinstance(found, UpstreamError):
            raise found
        return found
