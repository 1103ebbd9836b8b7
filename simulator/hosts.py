"""Where the simulator's parts say that they are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The beginnings of the addresses in answers, without a slash at the end.

    They are all the simulator's own address, unless a proxy stands in front of it that lets real clients find it
    under Twitch's names.
    """

    playlist: str
    segment: str
    clip: str
    video: str
    activate: str

    @classmethod
    def at(cls, base: str) -> "Hosts":
        """Everything in one place."""
        return cls(playlist=base, segment=base, clip=base, video=base, activate=f"{base}/activate")

    @classmethod
    def twitch(cls) -> "Hosts":
        """Names of the form that Twitch's have, for a simulator behind a proxy that ends TLS."""
        return cls(
            playlist="https://euc13.playlist.ttvnw.net",
            segment="https://a1b2c3d4e5f6.j.cloudfront.hls.ttvnw.net",
            clip="https://production.assets.clips.twitchcdn.net",
            video="https://d2nvs31859zcd8.cloudfront.net",
            activate="https://www.twitch.tv/activate",
        )
