"""The settings of the services that we call: Twitch, look-ups of links, providers, DynamoDB."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from yarl import URL

from fingerprint.domain.budgets import Budgets, parse_budgets
from fingerprint.setting_formats import (
    DEFAULT_GQL_ATTEMPTS,
    DEFAULT_USER_AGENT,
    ENDPOINT,
    HOST_NAMES,
    HTTP_ADDRESS,
    TABLE_NAME,
    Format,
    GqlAttempt,
    Secret,
    contact,
    gql_attempts,
    host_name,
    one_of,
    path,
    prices,
    secret,
    user_agent,
    whole_number,
    words,
)
from fingerprint.settings import SettingsError, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class TwitchSettings:
    """The addresses of Twitch's services. All of them can be pointed at the simulator or a proxy."""

    gql_url: URL = setting(
        "TWITCHAUDIO_TWITCH_GQL_URL",
        HTTP_ADDRESS,
        help="where playback tokens come from",
        default=URL("https://gql.twitch.tv/gql"),
    )
    usher_url: URL = setting(
        "TWITCHAUDIO_TWITCH_USHER_URL",
        HTTP_ADDRESS,
        help="where multivariant playlists come from",
        default=URL("https://usher.ttvnw.net"),
    )
    gql_attempts: tuple[GqlAttempt, ...] = setting(
        "TWITCHAUDIO_TWITCH_GQL_ATTEMPTS",
        Format(
            gql_attempts,
            "comma-separated pairs of client id and form (text, minimal or persisted), such as abc123:text",
        ),
        help="the ways to ask for a playback token, tried in order",
        default=DEFAULT_GQL_ATTEMPTS,
        default_text="Twitch's web client with the web player's query, the TV client with the minimal query, then "
        "the web client's persisted query",
    )
    user_agent: str = setting(
        "TWITCHAUDIO_USER_AGENT",
        Format(user_agent, "a browser's User-Agent, one line of ASCII"),
        help="the browser that requests to Twitch seem to come from; change it if Twitch refuses the default as "
        "too old",
        default=DEFAULT_USER_AGENT,
        default_text="a recent Firefox",
    )
    session_token: Secret | None = setting(
        "TWITCHAUDIO_TWITCH_SESSION_TOKEN",
        Format(secret, "the value of the auth-token cookie of your own session on twitch.tv"),
        help="sent only to gql, so that channels you subscribe to are heard as you hear them; use only your own",
    )
    media_hosts: tuple[str, ...] = setting(
        "TWITCHAUDIO_MEDIA_HOSTS",
        HOST_NAMES,
        help="the only hosts from which playlists, segments and clip files are fetched, over https (a loopback "
        "address in this list is fetched over http, too)",
        default=("*.ttvnw.net", "*.live-video.net", "*.cloudfront.net", "*.twitchcdn.net"),
    )
    more_media_hosts: tuple[str, ...] = setting(
        "TWITCHAUDIO_MORE_MEDIA_HOSTS",
        HOST_NAMES,
        help="more hosts that are allowed, for when Twitch starts to use others",
        default=(),
    )

    @property
    def all_media_hosts(self) -> tuple[str, ...]:
        """Every host that media is fetched from."""
        return self.media_hosts + self.more_media_hosts


LINK_SERVICES: Final = ("deezer", "musicbrainz", "odesli", "apple")

LINK_MEDIA_HOSTS: Final = (
    # Deezer's pictures and previews, as its answers named them up to November 2026.
    *("cdn-images.dzcdn.net", "e-cdns-images.dzcdn.net", "e-cdn-images.dzcdn.net", "cdns-images.dzcdn.net"),
    *("cdnt-preview.dzcdn.net", "cdns-preview.dzcdn.net"),
    *(f"cdns-preview-{digit:x}.dzcdn.net" for digit in range(16)),
    # Apple's.
    *(f"is{number}-ssl.mzstatic.com" for number in range(1, 6)),
    "audio-ssl.itunes.apple.com",
)


def link_services(text: str) -> tuple[str, ...]:
    """Parses comma-separated names of look-up services, or `off`."""
    chosen = words(text.lower())
    if chosen == ("off",):
        return ()
    if not set(chosen) <= set(LINK_SERVICES):
        raise ValueError(text)
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """The public services that are asked for links to songs that a recognizer named without ids."""

    services: tuple[str, ...] = setting(
        "TWITCHAUDIO_LINKS",
        Format(link_services, f"off, or comma-separated names out of {', '.join(LINK_SERVICES)}"),
        help="public services that get a song's ISRC, or its title and artists, to find links to it; deezer and "
        "apple also give its cover and a preview",
        default=(),
        default_text="off",
    )
    deezer_url: URL = setting(
        "TWITCHAUDIO_DEEZER_URL",
        HTTP_ADDRESS,
        help="the address of Deezer's look-up service",
        default=URL("https://api.deezer.com"),
    )
    musicbrainz_url: URL = setting(
        "TWITCHAUDIO_MUSICBRAINZ_URL",
        HTTP_ADDRESS,
        help="the address of MusicBrainz's look-up service",
        default=URL("https://musicbrainz.org"),
    )
    odesli_url: URL = setting(
        "TWITCHAUDIO_ODESLI_URL",
        HTTP_ADDRESS,
        help="the address of Odesli's look-up service",
        default=URL("https://api.song.link"),
    )
    apple_url: URL = setting(
        "TWITCHAUDIO_APPLE_URL",
        HTTP_ADDRESS,
        help="the address at which Apple looks up songs by id",
        default=URL("https://itunes.apple.com"),
    )
    media_hosts: tuple[str, ...] = setting(
        "TWITCHAUDIO_LINK_MEDIA_HOSTS",
        HOST_NAMES,
        help="the only hosts from which covers and previews of those services are fetched, over https (a loopback "
        "address in this list is fetched over http, too)",
        default=LINK_MEDIA_HOSTS,
        default_text="the hosts of Deezer's and Apple's covers and previews",
    )
    contact: str | None = setting(
        "TWITCHAUDIO_CONTACT",
        Format(contact, "an address of a page or of a mailbox, at most 100 characters"),
        help="how the look-up services can reach you; MusicBrainz asks for this",
    )


ACRCLOUD_FORMS: Final = ("auto", "fingerprint", "audio")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """The recognizers that call a provider, and their budgets."""

    acrcloud_host: str | None = setting(
        "ACRCLOUD_HOST",
        Format(
            host_name,
            "the host that ACRCloud's console shows for your project, such as identify-eu-west-1.acrcloud.com",
        ),
        help="your ACRCloud project's host",
    )
    acrcloud_access_key: Secret | None = setting(
        "ACRCLOUD_ACCESS_KEY",
        Format(secret, "the access key of your ACRCloud project; host, key and secret are set together"),
        help="your ACRCloud project's access key",
    )
    acrcloud_access_secret: Secret | None = setting(
        "ACRCLOUD_ACCESS_SECRET",
        Format(secret, "the access secret of your ACRCloud project; host, key and secret are set together"),
        help="your ACRCloud project's access secret",
    )
    acrcloud_send: str = setting(
        "TWITCHAUDIO_ACRCLOUD_SEND",
        one_of(*ACRCLOUD_FORMS),
        help="what is sent to ACRCloud: its own fingerprint (about 1 KB; needs the `acrcloud` extra), or audio "
        "(about 100 KB); auto sends the fingerprint if its extractor works",
        default="auto",
    )
    acrcloud_url: URL | None = setting(
        "TWITCHAUDIO_ACRCLOUD_URL",
        HTTP_ADDRESS,
        help="the address of ACRCloud, if you use a proxy or the simulated service",
        default_text="https:// and ACRCLOUD_HOST",
    )
    audd_api_token: Secret | None = setting(
        "AUDD_API_TOKEN",
        Format(secret, "the API token of your AudD account"),
        help="your AudD account's API token",
    )
    audd_url: URL = setting(
        "TWITCHAUDIO_AUDD_URL",
        HTTP_ADDRESS,
        help="the address of AudD",
        default=URL("https://api.audd.io/"),
    )
    shazam_url: URL = setting(
        "TWITCHAUDIO_SHAZAM_URL",
        HTTP_ADDRESS,
        help="the address of Shazam's private service, used if `shazam` is among the recognizers",
        default=URL("https://amp.shazam.com"),
    )
    provider_min_score: int = setting(
        "TWITCHAUDIO_PROVIDER_MIN_SCORE",
        whole_number(0, 100),
        help="a provider's match with a score below this (out of 100) is ignored",
        default=70,
    )
    uploads: Path | None = setting(
        "TWITCHAUDIO_UPLOADS",
        Format(path, "a table of your own uploads: a .csv or .json file"),
        help="the table with the names of your own uploads at AudD and ACRCloud, by `audd_id` and `acrcloud_id`",
        default_text="`tracks.csv` in the data folder, if it is there",
    )
    budgets: Budgets = setting(
        "TWITCHAUDIO_BUDGETS",
        Format(
            parse_budgets, "comma-separated budgets such as acrcloud=100/day, acrcloud=2000/month, audd=10/day"
        ),
        help="how many questions a provider may be asked in a day or a month (in UTC), by all servers together",
        default_factory=dict,
        default_text="none",
    )

    prices: Mapping[str, Decimal] = setting(
        "TWITCHAUDIO_PRICES",
        Format(
            prices, "comma-separated prices of a question in your currency, such as acrcloud=0.003, audd=0.005"
        ),
        help="what a question to a provider costs, to show how much was saved",
        default_factory=dict,
        default_text="none",
    )

    @property
    def acrcloud_base(self) -> URL | None:
        """The base address of ACRCloud; None when neither a host nor an address is set."""
        if self.acrcloud_url is not None or self.acrcloud_host is None:
            return self.acrcloud_url
        return URL(f"https://{self.acrcloud_host}")

    @property
    def acrcloud_is_set(self) -> bool:
        """Whether all settings that ACRCloud needs are set."""
        keys = (self.acrcloud_access_key, self.acrcloud_access_secret)
        return self.acrcloud_base is not None and None not in keys

    def check(self) -> None:
        """Raise SettingsError when ACRCloud is configured only in part."""
        if self.acrcloud_is_set:
            return
        has = {
            "ACRCLOUD_HOST": self.acrcloud_base,
            "ACRCLOUD_ACCESS_KEY": self.acrcloud_access_key,
            "ACRCLOUD_ACCESS_SECRET": self.acrcloud_access_secret,
        }
        missing = [name for name, value in has.items() if value is None]
        if missing and len(missing) < len(has):
            raise SettingsError(missing[0], "", "a value of your ACRCloud project: the others are set")


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbSettings:
    """The tables of the DynamoDB job store. Credentials and region come from the usual AWS variables."""

    endpoint: str | None = setting(
        "TWITCHAUDIO_DYNAMODB_ENDPOINT",
        ENDPOINT,
        help="the address of DynamoDB, if it is not AWS's own",
        default_text="AWS's, in the region of the usual AWS variables",
    )
    stream_table: str = setting(
        "TWITCHAUDIO_DYNAMODB_STREAM_TABLE",
        TABLE_NAME,
        help="the table for jobs on live streams",
        default="twitchaudio-streams",
    )
    clip_table: str = setting(
        "TWITCHAUDIO_DYNAMODB_CLIP_TABLE",
        TABLE_NAME,
        help="the table for jobs on clips and videos",
        default="twitchaudio-clips",
    )
