"""Settings: the only module that reads the environment.

A setting is one field of a frozen dataclass, declared with `setting(...)`; reading, the one-line error and the
table in docs/settings.md follow from the declaration.
"""

import dataclasses
import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from yarl import URL

from fingerprint.domain.budgets import Budgets, parse_budgets
from fingerprint.setting_formats import (
    DEFAULT_GQL_ATTEMPTS,
    DEFAULT_USER_AGENT,
    ENDPOINT,
    HOST_NAMES,
    HTTP_ADDRESS,
    TABLE_NAME,
    CatalogPlace,
    Format,
    GqlAttempt,
    S3Address,
    Secret,
    catalog_places,
    contact,
    default_data_dir,
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

T = TypeVar("T")

_PASSWORD: Final = re.compile(r"://[^/,\s]*:[^/,\s]*@")


class SettingsError(Exception):
    """A variable has a value that cannot be used. The text is one line for the operator."""

    def __init__(self, variable: str, value: str, takes: str, *, secret: bool = False) -> None:
        shown = "(hidden)" if secret else repr(value)
        super().__init__(f"{variable}={shown} cannot be used: it takes {takes}{_hint(value)}")


def _hint(value: str) -> str:
    """What is probably wrong with a value that was copied from a file of a shell, as the end of a sentence."""
    if _in_quotes(value):
        return "; leave out the quotes, which are part of the value here"
    return "; leave out the comment, which is part of the value here" if _COMMENT.search(value) else ""


def _in_quotes(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingInfo:
    """A setting's declaration. `parse` and `takes` are those of its format."""

    variable: str
    parse: Callable[[str], object]
    takes: str
    help: str
    default_text: str
    hidden: bool = False
    """The value is a secret, and shown nowhere."""


_INFO: Final = "setting"

_COMMENT: Final = re.compile(r"\s#")

_FILE: Final = "_FILE"
"""The end of the variable that names the file with a secret, as Docker's and systemd's secrets are given."""

_MAX_SECRET_BYTES: Final = 64 << 10

# Of a file of variables, a byte order mark or `export` may have become part of the first name.
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]+(?=\s*$)")

_OUR_PREFIXES: Final = ("TWITCHAUDIO_", "TWITCH_CLIENT_", "ACRCLOUD_", "AUDD_")


def setting(
    variable: str,
    accepts: Format[T],
    *,
    help: str,  # noqa: A002 - the name of the table's column
    default: T | None = None,
    default_factory: Callable[[], T] | None = None,
    default_text: str | None = None,
    hidden: bool = False,
) -> T:
    """Declare a field that is read from `variable`. Without a default it is None."""
    info = SettingInfo(
        variable=variable,
        parse=accepts.parse,
        takes=accepts.takes,
        help=help,
        default_text=default_text or _shown(default),
        hidden=hidden or accepts.parse is secret,
    )
    if default_factory is not None:
        return field(default_factory=default_factory, metadata={_INFO: info})
    return cast("T", field(default=default, metadata={_INFO: info}))


def _shown(default: object) -> str:
    values = cast("tuple[object, ...]", default) if isinstance(default, tuple) else (default,)
    return ", ".join(str(value) for value in values if value is not None) or "none"


def settings_table(*groups: type) -> list[SettingInfo]:
    """Every declared setting of the given dataclasses, in order: what docs/settings.md lists."""
    return [
        info
        for group in groups
        for item in dataclasses.fields(group)
        if (info := cast("SettingInfo | None", item.metadata.get(_INFO))) is not None
    ]


def read_settings(group: type[T], environ: Mapping[str, str] | None = None) -> T:
    """An instance of a settings dataclass, read from the environment. An empty variable counts as absent.

    Raises SettingsError, one line that names the variable and what it takes.
    """
    source = os.environ if environ is None else environ  # noqa: TID251 - this is the one reader
    values: dict[str, object] = {}
    for item in dataclasses.fields(cast("Any", group)):
        info = cast("SettingInfo | None", item.metadata.get(_INFO))
        if info is None:
            if dataclasses.is_dataclass(item.type):
                values[item.name] = read_settings(cast("type[Any]", item.type), source)
            continue
        text = _text(info, source)
        if not text:
            continue
        try:
            values[item.name] = info.parse(text)
        except ValueError as error:
            hidden = info.hidden or _PASSWORD.search(text) is not None
            raise SettingsError(info.variable, text, info.takes, secret=hidden) from error
    return group(**values)


def override_environment(values: Mapping[str, str]) -> None:
    """Set variables of this process before settings are read; an empty text takes one away.

    Raises TypeError for anything but texts.
    """
    os.environ.update(values)  # noqa: TID251 - beside its one reader


def _text(info: SettingInfo, source: Mapping[str, str]) -> str:
    """A variable's text. A secret may also be in the file that `VARIABLE_FILE` names. Raises SettingsError."""
    text = source.get(info.variable, "").strip()
    variable = f"{info.variable}{_FILE}"
    name = source.get(variable, "").strip() if info.hidden else ""
    if not name:
        return text
    if text:
        raise SettingsError(variable, name, f"a file in place of {info.variable}, and both are set")
    try:
        with path(name).open("rb") as file:
            content = file.read(_MAX_SECRET_BYTES + 1).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SettingsError(
            variable, name, f"a file with the secret; this one cannot be read: {reason}"
        ) from error
    if not 0 < len(content) <= _MAX_SECRET_BYTES:
        raise SettingsError(variable, name, "a file with the secret; this one is empty or too long")
    return content


def service_manager_socket(environ: Mapping[str, str] | None = None) -> str | None:
    """The socket on which a service manager waits to hear of this process, as `sd_notify(3)` describes."""
    source = os.environ if environ is None else environ  # noqa: TID251 - this is the one reader
    return source.get("NOTIFY_SOCKET") or None


def runs_in_lambda(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this process was started by AWS Lambda, or by its emulator."""
    source = os.environ if environ is None else environ  # noqa: TID251 - this is the one reader
    return bool(source.get("AWS_LAMBDA_RUNTIME_API"))


def given_settings(group: type, environ: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """The variables of a group that are set, with their values; None in place of a secret."""
    source = os.environ if environ is None else environ  # noqa: TID251 - this is the one reader
    given: dict[str, str | None] = {}
    for info in _declared(group):
        value = source.get(info.variable, "").strip()
        secret_file = info.hidden and source.get(f"{info.variable}{_FILE}", "").strip()
        if value or secret_file:
            hidden = info.hidden or _PASSWORD.search(value) is not None
            given[info.variable] = None if hidden else value
    return given


def unknown_variables(group: type, environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each variable that looks like a setting of ours but is not, such as a typo."""
    source = os.environ if environ is None else environ  # noqa: TID251 - this is the one reader
    infos = list(_declared(group))
    known = {info.variable for info in infos} | {f"{info.variable}{_FILE}" for info in infos if info.hidden}
    found: list[str] = []
    for name in sorted(source):
        plain = _NAME.search(name.upper())
        ours = name.startswith(_OUR_PREFIXES) or (plain is not None and plain[0] in known)
        if name in known or not ours or not source[name].strip():
            continue
        close = difflib.get_close_matches(name, known, 1, 0.8)
        if plain is not None and plain[0] in known:
            close = [plain[0]]
        shown = name if name.isprintable() and name == name.strip() else repr(name)
        found.append(f"{shown} is not a setting." + "".join(f" Did you mean {each}?" for each in close))
    return found


def odd_values(group: type, environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each value that can be used, and probably holds more than was meant."""
    source = os.environ if environ is None else environ  # noqa: TID251 - this is the one reader
    found: list[str] = []
    for info in _declared(group):
        value = _text(info, source)
        if _in_quotes(value):
            found.append(f"{info.variable} is in quotes, which are part of the value here: leave them out.")
        elif info.hidden and _COMMENT.search(value):
            found.append(f"{info.variable} ends in a comment, which is part of the value here: leave it out.")
        elif info.parse is secret and any(character.isspace() for character in value):
            found.append(f"{info.variable} has a space or a line break inside: was it copied as a whole?")
    return found


def _declared(group: type) -> Iterator[SettingInfo]:
    """The settings of a group and of the groups inside it."""
    yield from settings_table(group)
    for item in dataclasses.fields(group):
        if dataclasses.is_dataclass(item.type):
            yield from _declared(cast("type", item.type))


# --- The pipeline's settings --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TwitchSettings:
    """The addresses of Twitch's services. All of them can be pointed at the simulator or a proxy."""

    gql_url: URL = setting(
        "TWITCHAUDIO_TWITCH_GQL_URL",
        HTTP_ADDRESS,
        help="where playback tokens are asked for",
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
        default_text="Twitch's web client with the web player's query, the TV client with the least query, then "
        "the web client's persisted query",
    )
    user_agent: str = setting(
        "TWITCHAUDIO_USER_AGENT",
        Format(user_agent, "a browser's User-Agent, one line of ASCII"),
        help="the browser that requests to Twitch name; change it when Twitch refuses the default as too old",
        default=DEFAULT_USER_AGENT,
        default_text="a recent Firefox",
    )
    session_token: Secret | None = setting(
        "TWITCHAUDIO_TWITCH_SESSION_TOKEN",
        Format(secret, "the value of the auth-token cookie of your own session on twitch.tv"),
        help="sent to gql alone, so that channels you subscribe to are heard as you hear them; only your own",
    )
    media_hosts: tuple[str, ...] = setting(
        "TWITCHAUDIO_MEDIA_HOSTS",
        HOST_NAMES,
        help="the only hosts that playlists, segments and clip files are fetched from, over https "
        "(a loopback address may be named, and is then fetched over http too)",
        default=("*.ttvnw.net", "*.live-video.net", "*.cloudfront.net", "*.twitchcdn.net"),
    )
    more_media_hosts: tuple[str, ...] = setting(
        "TWITCHAUDIO_MORE_MEDIA_HOSTS",
        HOST_NAMES,
        help="hosts that are allowed beside those, for when Twitch starts to use others",
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
        help="public services that get a song's ISRC, or its title and artists, to find links to it; "
        "deezer and apple also give its cover and a preview of its sound",
        default=(),
        default_text="off",
    )
    deezer_url: URL = setting(
        "TWITCHAUDIO_DEEZER_URL",
        HTTP_ADDRESS,
        help="where Deezer's look-up is",
        default=URL("https://api.deezer.com"),
    )
    musicbrainz_url: URL = setting(
        "TWITCHAUDIO_MUSICBRAINZ_URL",
        HTTP_ADDRESS,
        help="where MusicBrainz's look-up is",
        default=URL("https://musicbrainz.org"),
    )
    odesli_url: URL = setting(
        "TWITCHAUDIO_ODESLI_URL",
        HTTP_ADDRESS,
        help="where Odesli's look-up is",
        default=URL("https://api.song.link"),
    )
    apple_url: URL = setting(
        "TWITCHAUDIO_APPLE_URL",
        HTTP_ADDRESS,
        help="where Apple's look-up of songs by id is",
        default=URL("https://itunes.apple.com"),
    )
    media_hosts: tuple[str, ...] = setting(
        "TWITCHAUDIO_LINK_MEDIA_HOSTS",
        HOST_NAMES,
        help="the only hosts that covers and previews of those services are fetched from, over https "
        "(a loopback address may be named, and is then fetched over http too)",
        default=LINK_MEDIA_HOSTS,
        default_text="the hosts of Deezer's and Apple's covers and previews",
    )
    contact: str | None = setting(
        "TWITCHAUDIO_CONTACT",
        Format(contact, "an address of a page or of a mailbox, at most 100 characters"),
        help="how the look-up services can reach you; MusicBrainz wants to know",
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
        help="what ACRCloud gets: its own fingerprint (about 1 KB; needs the `acrcloud` extra), or audio (about "
        "100 KB); auto takes the fingerprint where its extractor works",
        default="auto",
    )
    acrcloud_url: URL | None = setting(
        "TWITCHAUDIO_ACRCLOUD_URL",
        HTTP_ADDRESS,
        help="where ACRCloud is asked, for a proxy or the simulated service",
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
        help="where AudD is asked",
        default=URL("https://api.audd.io/"),
    )
    shazam_url: URL = setting(
        "TWITCHAUDIO_SHAZAM_URL",
        HTTP_ADDRESS,
        help="where Shazam's private service is asked, if `shazam` is among the recognizers",
        default=URL("https://amp.shazam.com"),
    )
    provider_min_score: int = setting(
        "TWITCHAUDIO_PROVIDER_MIN_SCORE",
        whole_number(0, 100),
        help="a provider's match with a score below this (of 100) is ignored",
        default=70,
    )
    uploads: Path | None = setting(
        "TWITCHAUDIO_UPLOADS",
        Format(path, "a table of your own uploads: a .csv or .json file"),
        help="the table that names your own uploads at AudD and ACRCloud, by `audd_id` and `acrcloud_id`",
        default_text="`tracks.csv` in the data folder, if it is there",
    )
    budgets: Budgets = setting(
        "TWITCHAUDIO_BUDGETS",
        Format(
            parse_budgets, "comma-separated budgets such as acrcloud=100/day, acrcloud=2000/month, audd=10/day"
        ),
        help="how many questions a provider may be asked, by all servers together, in a day or a month of UTC",
        default_factory=dict,
        default_text="none",
    )

    prices: Mapping[str, Decimal] = setting(
        "TWITCHAUDIO_PRICES",
        Format(
            prices, "comma-separated prices of a question in your currency, such as acrcloud=0.003, audd=0.005"
        ),
        help="what a question costs at a provider, to show what was saved",
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
        help="where DynamoDB is, for one that is not AWS's own",
        default_text="AWS's, of the region in the usual AWS variables",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """The settings of the pipeline, in a server, a command or a Lambda function."""

    twitch: TwitchSettings = field(default_factory=TwitchSettings)
    providers: ProviderSettings = field(default_factory=ProviderSettings)
    links: LinkSettings = field(default_factory=LinkSettings)
    data_dir: Path = setting(
        "TWITCHAUDIO_DATA_DIR",
        Format(path, "a folder"),
        help="the SQLite file, the catalog and secrets",
        default_factory=default_data_dir,
        default_text="the platform's user data folder",
    )
    database_url: str | None = setting(
        "TWITCHAUDIO_DATABASE_URL",
        Format(str, "sqlite:///PATH or mysql://USER:PASSWORD@HOST:PORT/NAME (MySQL 8, MariaDB 10.6 or newer)"),
        help="where jobs, answers and access data live",
        default_text="SQLite in the data folder",
        hidden=True,
    )
    jobs: str = setting(
        "TWITCHAUDIO_JOBS",
        one_of("sql", "dynamodb"),
        help="the store for job state: the SQL database, or tables in DynamoDB",
        default="sql",
    )
    dynamodb: DynamoDbSettings = field(default_factory=DynamoDbSettings)
    keep_days: int | None = setting(
        "TWITCHAUDIO_KEEP_DAYS",
        whole_number(1, 36_500),
        help="after how many days answers are deleted, in SQL and DynamoDB alike, and reports of them; songs of "
        "clips and videos stay",
        default_text="never",
    )
    unknown_days: int = setting(
        "TWITCHAUDIO_UNKNOWN_DAYS",
        whole_number(0, 3_650),
        help="how many days the fingerprints of moments without a song are kept, without any sound, to search for "
        "them again when a catalog grows; 0 keeps none",
        default=30,
    )
    learn: str = setting(
        "TWITCHAUDIO_LEARN",
        one_of("off", "on"),
        help="whether fingerprints of what a provider named are kept, without any sound, so that a song is named "
        "on other channels without asking again",
        default="off",
    )
    learn_mb: int = setting(
        "TWITCHAUDIO_LEARN_MB",
        whole_number(1, 1_000_000),
        help="how large these fingerprints may be in the database, in MiB; the oldest are deleted",
        default=512,
    )
    learn_days: int = setting(
        "TWITCHAUDIO_LEARN_DAYS",
        whole_number(1, 3_650),
        help="how many days they are kept; TWITCHAUDIO_KEEP_DAYS may end that sooner",
        default=180,
    )
    recognizers: tuple[str, ...] = setting(
        "TWITCHAUDIO_RECOGNIZERS",
        Format(words, "comma-separated recognizer names"),
        help="the recognizers, asked in order until one finds the song",
        default=(),
        default_text="catalog, then learned with TWITCHAUDIO_LEARN=on, then acrcloud and audd where their keys "
        "are set",
    )
    ask: str = setting(
        "TWITCHAUDIO_ASK",
        one_of("in-order", "together"),
        help="whether recognizers are asked one after another until one finds the song, or all at once: then the "
        "first match wins, and others that agree within a second raise its score",
        default="in-order",
    )
    clip_parts: int = setting(
        "TWITCHAUDIO_CLIP_PARTS",
        whole_number(1, 10),
        help="how many parts of a clip, of 12 s each, a provider is asked about, side by side; each is a question;"
        " with 1 it hears the loudest part only",
        default=5,
    )
    recognizer_seconds: int = setting(
        "TWITCHAUDIO_RECOGNIZER_SECONDS",
        whole_number(1, 20),
        help="how long each provider may take; the catalog has the time that the job has",
        default=5,
    )

    catalogs: tuple[CatalogPlace, ...] = setting(
        "TWITCHAUDIO_CATALOGS",
        Format(catalog_places, "comma-separated folders, or addresses such as s3://bucket/prefix"),
        help="the catalogs of music, asked together; `twitchaudio catalog` changes the first one",
        default=(),
        default_text="the one in the data folder",
    )
    s3_endpoint: str | None = setting(
        "TWITCHAUDIO_S3_ENDPOINT",
        ENDPOINT,
        help="where object storage is, for services other than AWS; credentials and region by the usual AWS "
        "variables",
        default_text="AWS",
    )
    catalog_copies: Path | None = setting(
        "TWITCHAUDIO_CATALOG_COPIES",
        Format(path, "a folder"),
        help="where this machine's copies of catalogs in object storage are",
        default_text="catalog-copies in the data folder",
    )
    catalog_copies_mb: int = setting(
        "TWITCHAUDIO_CATALOG_COPIES_MB",
        whole_number(1, 10_000_000),
        help="how large these copies may be, all together, in MiB",
        default=20_480,
    )

    catalog_override: CatalogPlace | None = None
    """The catalog when it is given on the command line."""

    @property
    def uploads_path(self) -> Path:
        """The table that names the operator's own uploads at providers; it may be missing."""
        return self.data_dir / "tracks.csv" if self.providers.uploads is None else self.providers.uploads

    @property
    def learns(self) -> bool:
        """Whether songs are learned from providers, and named by what was learned."""
        return self.learn == "on"

    @property
    def learned_dir(self) -> Path:
        """The folder of the catalog that is learned from providers' answers."""
        return self.data_dir / "learned"

    @property
    def catalog_places(self) -> tuple[CatalogPlace, ...]:
        """Where the catalogs are that are asked."""
        if self.catalog_override is not None:
            return (self.catalog_override,)
        return self.catalogs or (self.data_dir / "catalog",)

    @property
    def catalog_dirs(self) -> tuple[Path, ...]:
        """The folders of the catalogs that are asked; of those in object storage, of their copies."""
        return tuple(self.catalog_folder(place) for place in self.catalog_places)

    def catalog_folder(self, place: CatalogPlace) -> Path:
        """The folder of a catalog, or of its copy."""
        if isinstance(place, Path):
            return place
        return (self.catalog_copies or self.data_dir / "catalog-copies") / place.folder_name

    @property
    def remote_catalogs(self) -> tuple[S3Address, ...]:
        """The catalogs that are in object storage, each once."""
        return tuple(dict.fromkeys(place for place in self.catalog_places if isinstance(place, S3Address)))

    @property
    def catalog_dir(self) -> Path:
        """The folder of the catalog that commands change: the first one."""
        return self.catalog_dirs[0]
