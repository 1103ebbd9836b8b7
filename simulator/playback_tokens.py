"""Playback access tokens: JSON text that gql signs, and that usher or the clip server verifies."""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from simulator.channel import Channel
from simulator.clip import Clip
from simulator.clock import SimulatedClock
from simulator.signing import Signer
from simulator.video import Video

LIVE_SECONDS: Final = 1_200
STORED_SECONDS: Final = 72_000
_VIEWER_IP: Final = "127.0.0.1"
_QUALITIES: Final = ["chunked", "720p60", "480p30", "160p30", "audio_only"]


class InvalidTokenError(Exception):
    """A token is not accepted; `expired` when only its lifetime is over."""

    def __init__(self, *, expired: bool = False) -> None:
        super().__init__("expired" if expired else "not valid")
        self.expired = expired


class PlaybackTokens:
    """Issues and verifies playback tokens."""

    def __init__(self, signer: Signer, clock: SimulatedClock) -> None:
        self._signer = signer
        self._clock = clock

    def for_channel(self, channel: Channel, player: Mapping[str, Any]) -> dict[str, Any]:
        """gql's answer for a stream. An offline channel gets a token too."""
        switches = channel.switches
        reason = "GEOBLOCKED" if switches.geoblocked else "NONE"
        value = {
            "adblock": False,
            "authorization": {
                "forbidden": switches.subscriber_only,
                "reason": "UNAUTHORIZED_ENTITLEMENTS" if switches.subscriber_only else "",
            },
            "blackout_enabled": False,
            "channel": channel.login,
            "channel_id": channel.plan.user_id,
            "chansub": {
                "restricted_bitrates": _QUALITIES if switches.subscriber_only else [],
                "view_until": 1924905600,
            },
            "ci_gb": False,
            "geoblock_reason": "GEO_LOCATION" if switches.geoblocked else "",
            "device_id": None,
            "expires": int(self._clock.time()) + LIVE_SECONDS,
            "extended_history_allowed": False,
            "game": "",
            "hide_ads": False,
            "https_required": True,
            "mature": False,
            "partner": False,
            "platform": player.get("platform") or "web",
            "player_type": player.get("playerType") or "site",
            "private": {"allowed_to_view": True},
            "privileged": False,
            "role": "",
            "server_ads": True,
            "show_ads": True,
            "subscriber": False,
            "turbo": False,
            "user_id": None,
            "user_ip": _VIEWER_IP,
            "version": 3,
            "maximum_resolution": "FULL_HD",
            "maximum_resolution_reasons": {
                "QUAD_HD": ["AUTHZ_NOT_LOGGED_IN"],
                "ULTRA_HD": ["AUTHZ_NOT_LOGGED_IN"],
            },
            "maximum_video_bitrate_kbps": 12500,
            "maximum_video_bitrate_kbps_reasons": ["AUTHZ_DISALLOWED_BITRATE"],
        }
        return {
            **self._signed(value),
            "authorization": {
                "isForbidden": reason != "NONE",
                "forbiddenReasonCode": reason,
                "__typename": "PlaybackAccessTokenAuthorization",
            },
        }

    def for_video(self, video: Video) -> dict[str, Any]:
        """gql's answer for a VOD."""
        closed = video.switches.subscriber_only
        value = {
            "authorization": {"forbidden": closed, "reason": "UNAUTHORIZED_ENTITLEMENTS" if closed else ""},
            "chansub": {"restricted_bitrates": _QUALITIES if closed else []},
            "device_id": None,
            "expires": int(self._clock.time()) + STORED_SECONDS,
            "https_required": True,
            "privileged": False,
            "user_id": None,
            "version": 3,
            "vod_id": int(video.plan.video_id),
        }
        return self._signed(value)

    def for_clip(self, clip: Clip, uri: str) -> dict[str, Any]:
        """gql's answer for a clip."""
        closed = clip.switches.subscriber_only
        value = {
            "authorization": {"forbidden": closed, "reason": "UNAUTHORIZED_ENTITLEMENTS" if closed else ""},
            "clip_uri": uri,
            "clip_slug": clip.plan.slug,
            "device_id": None,
            "expires": int(self._clock.time()) + STORED_SECONDS,
            "user_id": "",
            "version": 3,
        }
        return self._signed(value)

    def verified(self, text: str | None, signature: str | None) -> dict[str, Any]:
        """The token's content. Raises InvalidTokenError when it is missing, altered or expired."""
        if not text or not signature or not self._signer.verify(text, signature):
            raise InvalidTokenError
        content = cast("dict[str, Any]", json.loads(text))
        if content["expires"] <= self._clock.time():
            raise InvalidTokenError(expired=True)
        return content

    def _signed(self, content: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(content, separators=(",", ":"))
        return {"value": text, "signature": self._signer.signature(text), "__typename": "PlaybackAccessToken"}
