"""The content of the simulated Twitch, as values: channels, clips and VODs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from simulator.library import SongFile
from simulator.program import Item, Playlist


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPlan:
    """A channel. `audio`: whether its multivariant playlists list audio_only ("listed", "missing" or "only")."""

    login: str
    display_name: str
    user_id: int
    title: str
    game: str
    playlist: Playlist
    live: bool = True
    audio: str = "listed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPlan:
    """A clip of a channel. `address`: the form of its files' addresses, "v2", "percent" or "signed"."""

    slug: str
    login: str
    title: str
    playlist: Playlist
    address: str = "v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPlan:
    """A VOD. `muted`: ranges [start, end) in seconds that are silent."""

    video_id: str
    login: str
    title: str
    playlist: Playlist
    muted: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """All channels, clips and VODs of a simulated Twitch."""

    channels: tuple[ChannelPlan, ...] = ()
    clips: tuple[ClipPlan, ...] = ()
    videos: tuple[VideoPlan, ...] = ()
    songs: tuple[SongFile, ...] = field(default=(), repr=False)


_VOICE: Final = 0.8


def demo_content(songs: Sequence[SongFile]) -> Content:
    """The demo's content, from any number of songs: three live channels, an offline one, four clips and two VODs.

    - `neonharbour` plays music only; `talkshow_tess` talks over it all the time; `barebones_tv` has no audio_only
      rendition; `sleepy_otter` is offline.
    - One clip's slug ends with a hyphen, one is of the old form, one has a voice over it.

    Raises ValueError without songs.
    """
    if not songs:
        raise ValueError("content needs at least one song")

    def cut(number: int, start: float, seconds: float) -> tuple[Item, ...]:
        song = songs[number % len(songs)]
        start = min(start, max(0.0, song.seconds - seconds))
        return (Item(song=song, start_seconds=start, seconds=min(seconds, song.seconds)),)

    channels = (
        ChannelPlan(
            login="neonharbour",
            display_name="NeonHarbour",
            user_id=71_000_101,
            title="night drive radio | no talking",
            game="Music",
            playlist=Playlist(items=cut(0, 10, 40) + cut(3, 14, 40) + cut(7, 15, 40)),
        ),
        ChannelPlan(
            login="talkshow_tess",
            display_name="Talkshow_Tess",
            user_id=71_000_102,
            title="just chatting, music in the back",
            game="Just Chatting",
            playlist=Playlist(items=cut(4, 8, 40) + cut(1, 10, 40), voice_gain=_VOICE),
        ),
        ChannelPlan(
            login="barebones_tv",
            display_name="BareBones_TV",
            user_id=71_000_103,
            title="no transcodes here",
            game="Retro",
            playlist=Playlist(items=cut(6, 10, 40) + cut(8, 12, 40)),
            audio="missing",
        ),
        ChannelPlan(
            login="sleepy_otter",
            display_name="Sleepy_Otter",
            user_id=71_000_104,
            title="back tomorrow",
            game="Art",
            playlist=Playlist(items=cut(5, 20, 20)),
            live=False,
        ),
    )
    clips = (
        ClipPlan(
            slug="ElegantNeonHarbourDriveKappa-m3Qx7_vT1bLz-9Ra",
            login="neonharbour",
            title="that drop",
            playlist=Playlist(items=cut(0, 30, 30)),
        ),
        ClipPlan(
            slug="SleepyGiftedBlueKettlePogChamp-KbkBXYt3lOk3jy8-",
            login="talkshow_tess",
            title="she hums along",
            playlist=Playlist(items=cut(2, 20, 24), voice_gain=0.5, voice_seed=11),
            address="signed",
        ),
        ClipPlan(
            slug="AbrasivePlayfulMangoMau5",
            login="barebones_tv",
            title="waltzing",
            playlist=Playlist(items=cut(6, 25, 20)),
            address="percent",
        ),
        ClipPlan(
            slug="TenaciousPaperCraneTwitchRPG-0hF2_kQeWc5uYb1t",
            login="sleepy_otter",
            title="rain on the window",
            playlist=Playlist(items=cut(9, 20, 28)),
        ),
    )
    videos = (
        VideoPlan(
            video_id="2210987001",
            login="neonharbour",
            title="night drive, last week",
            playlist=Playlist(items=cut(7, 20, 30) + cut(5, 20, 32)),
        ),
        VideoPlan(
            video_id="2210987002",
            login="sleepy_otter",
            title="drawing otters",
            playlist=Playlist(items=cut(9, 10, 40) + cut(8, 20, 25)),
            muted=((20.0, 40.0),),
        ),
    )
    return Content(channels=channels, clips=clips, videos=videos, songs=tuple(songs))
