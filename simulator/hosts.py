"""The addresses that the simulator gives for its parts in answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The base addresses in answers, without a trailing slash.

    They are all the simulator's own address, unless a proxy in front of it lets real clients reach it
    under Twitch's names.
    """

    playlist: str
    segment: str
    clip: str
    video: str
    activate: str

    @classmethod
    def at(cls, base: str) -> "Hosts":
        """All parts at one base address."""
        return cls(playlist=base, segment=base, clip=base, video=base, activate=f"{base}/activate")

    @classmethod
    def twitch(cls) -> "Hosts":
        """Host names like Twitch's, for a simulator behind a proxy that terminates TLS."""
        return cls(
            playlist="https://euc13.playlist.ttvnw.net",
            segment="https://a1b2c3d4e5f6.j.cloudfront.hls.ttvnw.net",
            clip="https://production.assets.clips.twitchcdn.net",
            video="https://d2nvs31859zcd8.cloudfront.net",
            activate="https://www.twitch.tv/activate",
        )
