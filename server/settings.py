"""The server's settings: the pipeline's, and those that only a server needs."""

import os
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from yarl import URL

from fingerprint.domain.targets import TwitchTarget
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.setting_formats import (
    ENDPOINT,
    HOST_NAMES,
    HTTP_ADDRESS,
    Format,
    Secret,
    folders,
    one_of,
    secret,
    whole_number,
)
from fingerprint.settings import setting
from server.server_limits import ServerLimits
from server.setting_formats import (
    KEY_LENGTH,
    MAX_EXAMPLES,
    METRICS_TOKEN_LENGTH,
    RATES,
    Rate,
    admins,
    canary,
    client_id,
    examples,
    function_name,
    host_and_port,
    metrics_token,
    networks,
    origins,
    public_url,
    redis_url,
    session_keys,
)

LOG_LEVELS: Final = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """All settings of `twitchaudio serve`."""

    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    limits: ServerLimits = field(default_factory=ServerLimits)
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    """How many processes of this server decode, and how many recognize, at the same time."""
    runner: str = setting(
        "TWITCHAUDIO_RUNNER",
        one_of("inprocess", "lambda"),
        help="where identifications run: in the server's own process, or in an AWS Lambda function",
        default="inprocess",
    )
    lambda_function: str = setting(
        "TWITCHAUDIO_LAMBDA_FUNCTION",
        Format(function_name, "a function's name or ARN"),
        help="which Lambda function to invoke",
        default="twitchaudio-fingerprint",
    )
    lambda_endpoint: str | None = setting(
        "TWITCHAUDIO_LAMBDA_ENDPOINT",
        ENDPOINT,
        help="the address of Lambda, if it is not AWS's own",
        default_text="AWS's, in the region of the usual AWS variables",
    )
    captures_at_once: int = setting(
        "TWITCHAUDIO_CAPTURES_AT_ONCE",
        whole_number(1, 1_000),
        help="how many identifications one server works on at a time; with `serve --workers`, they are divided "
        "among the workers",
        default_factory=lambda: 2 * (os.cpu_count() or 1),
        default_text="twice the number of processor cores",
    )
    queue: int = setting(
        "TWITCHAUDIO_QUEUE",
        whole_number(0, 100_000),
        help="how many identifications can wait in line before more are refused with `busy`",
        default=200,
    )
    fresh_seconds: int = setting(
        "TWITCHAUDIO_FRESH_SECONDS",
        whole_number(0, 300),
        help="how old, in seconds, the newest sound of a live channel's answer may be for the answer to be used "
        "again; 0 never uses one again",
        default=5,
    )
    hot_askers: int = setting(
        "TWITCHAUDIO_HOT_ASKERS",
        whole_number(0, 1_000),
        help="how many different people have to ask about a live channel within a minute for the server to keep "
        "listening to it for two minutes, with recognizers that cost nothing; 0 switches this off",
        default=3,
    )
    watches: int = setting(
        "TWITCHAUDIO_WATCHES",
        whole_number(0, 10_000),
        help="how many channels can be watched at a time, on all servers together; at most half of them by their "
        "owners",
        default=50,
    )
    set_lists: int = setting(
        "TWITCHAUDIO_SET_LISTS",
        whole_number(0, 16),
        help="how many whole VODs a server listens to at a time to make their set lists; 0 for none",
        default=1,
    )
    set_list_hours: int = setting(
        "TWITCHAUDIO_SET_LIST_HOURS",
        whole_number(1, 48),
        help="up to how many hours long a VOD may be for its set list to be made",
        default=24,
    )
    set_list_hours_a_day: int = setting(
        "TWITCHAUDIO_SET_LIST_HOURS_A_DAY",
        whole_number(1, 10_000),
        help="up to how many hours of VODs one person or API key can have set lists made for in a day; operators "
        "have no limit",
        default=48,
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = setting(
        "TWITCHAUDIO_TRUSTED_PROXIES",
        Format(networks, "comma-separated addresses and networks, such as 127.0.0.1, 10.0.0.0/8"),
        help="proxies whose X-Forwarded-For header is trusted",
        default=(),
    )
    jobs_per_address: int = setting(
        "TWITCHAUDIO_JOBS_PER_ADDRESS",
        whole_number(0, 1_000),
        help="how many identifications one IP address can run at once without an API key; 0 for no limit",
        default=1,
    )
    starts_per_address: tuple[Rate, ...] = setting(
        "TWITCHAUDIO_STARTS_PER_ADDRESS",
        RATES,
        help="how many new identifications an IP address can start; joining one that is running is free",
        default=(Rate(120, 60), Rate(5_000, 86_400)),
        default_text="120/minute, 5000/day",
    )
    starts_per_person: tuple[Rate, ...] = setting(
        "TWITCHAUDIO_STARTS_PER_PERSON",
        RATES,
        help="how many new identifications a signed-in user can start, in addition to the limit for their address",
        default=(Rate(60, 60), Rate(2_000, 86_400)),
        default_text="60/minute, 2000/day",
    )
    twitch_client_id: str | None = setting(
        "TWITCH_CLIENT_ID",
        Format(client_id, "the client id of your Twitch application"),
        help="identifies your Twitch application; without it, people cannot sign in",
    )
    twitch_client_secret: Secret | None = setting(
        "TWITCH_CLIENT_SECRET",
        Format(secret, "the client secret of your Twitch application"),
        help="goes with the client id; without it, people cannot sign in on the website",
    )
    twitch_id_url: URL = setting(
        "TWITCHAUDIO_TWITCH_ID_URL",
        HTTP_ADDRESS,
        help="where people sign in, and where Twitch tokens are checked",
        default=URL("https://id.twitch.tv"),
    )
    log_days: int = setting(
        "TWITCHAUDIO_LOG_DAYS",
        whole_number(0, 10_000),
        help="for how many days the logs in the database are kept; 0 does not delete them",
        default=90,
    )
    log_address_days: int = setting(
        "TWITCHAUDIO_LOG_ADDRESS_DAYS",
        whole_number(0, 10_000),
        help="after how many days IP addresses in the logs are shortened to their network; 0 never does this",
        default=7,
    )
    log_max_mb: int = setting(
        "TWITCHAUDIO_LOG_MAX_MB",
        whole_number(1, 1_000_000),
        help="how large the logs in the database may grow, in MiB; beyond that, the oldest entries are deleted, "
        "and the logs say so",
        default=1_024,
    )
    twitch_helix_url: URL = setting(
        "TWITCHAUDIO_TWITCH_HELIX_URL",
        HTTP_ADDRESS,
        help="the address of the Twitch API that knows about subscriptions and users",
        default=URL("https://api.twitch.tv/helix"),
    )
    base_url: URL | None = setting(
        "TWITCHAUDIO_BASE_URL",
        Format(
            public_url,
            "an https address (http on a loopback address), with a path such as /twitchaudio or without; the path "
            "must not begin like one of ours, such as /api or /docs",
        ),
        help="the website's public address, including its path if it has one; Twitch sends people back to "
        "`/login/callback` below it",
        default_text="taken from the request, or from a trusted proxy",
    )
    session_keys: tuple[Secret, ...] = setting(
        "TWITCHAUDIO_SESSION_KEY",
        Format(
            session_keys,
            f"a random text of at least {KEY_LENGTH} characters; after a comma, older ones that still count",
        ),
        help="encrypts the website's sessions; servers that share a database need the same key",
        default=(),
        default_text="made once and kept in the data folder (`session.key`)",
        hidden=True,
    )
    redis_url: Secret | None = setting(
        "TWITCHAUDIO_REDIS_URL",
        Format(redis_url, "redis://[USER:PASSWORD@]HOST:PORT[/NUMBER], rediss://... (TLS) or unix:///PATH"),
        help="a Redis or Valkey server for rate limits, slots and messages about jobs between servers; needs the "
        "`redis` extra",
        hidden=True,
    )
    admins: tuple[str, ...] = setting(
        "TWITCHAUDIO_ADMINS",
        Format(admins, "comma-separated Twitch logins, or id:NUMBER, which stays when a login changes hands"),
        help="who can use `/admin`; a login means the account that has it when the server first asks Twitch",
        default=(),
    )
    watch_folders: tuple[Path, ...] = setting(
        "TWITCHAUDIO_WATCH_FOLDERS",
        Format(folders, "comma-separated folders"),
        help="folders of music; while the server runs, it keeps the first catalog in step with them",
        default=(),
    )
    canary: tuple[TwitchTarget, ...] = setting(
        "TWITCHAUDIO_CANARY",
        Format(canary, "comma-separated Twitch addresses or names: a channel, and a clip and a video if you like"),
        help="what to check at Twitch once an hour, to notice a change before viewers do; choose a channel that "
        "is nearly always live",
        default=(),
    )
    examples: tuple[TwitchTarget, ...] = setting(
        "TWITCHAUDIO_EXAMPLES",
        Format(examples, f"at most {MAX_EXAMPLES} comma-separated Twitch addresses or names"),
        help="channels, clips and videos that the start page suggests to try",
        default=(),
    )
    source_url: URL | None = setting(
        "TWITCHAUDIO_SOURCE_URL",
        HTTP_ADDRESS,
        help="the address of this server's source code, linked at the foot of each page",
    )
    metrics_token: Secret | None = setting(
        "TWITCHAUDIO_METRICS_TOKEN",
        Format(metrics_token, f"a random text of at least {METRICS_TOKEN_LENGTH} letters, digits and ._~+/=-"),
        help="the bearer token for reading `/metrics` and the details of `/readyz`",
        default_text="none: only programs on the same machine can read them, and not even those once a proxy or a "
        "public address is set",
    )
    metrics_listen: tuple[str, int] | None = setting(
        "TWITCHAUDIO_METRICS_LISTEN",
        Format(host_and_port, "an address and a port, such as 127.0.0.1:9090 or [::1]:9090"),
        help="a separate address that serves `/metrics` and `/readyz` without a token",
    )
    webhook_hosts: tuple[str, ...] = setting(
        "TWITCHAUDIO_WEBHOOK_HOSTS",
        HOST_NAMES,
        help="hosts that webhooks may be sent to in addition to public addresses (a loopback address over http, "
        "too)",
        default=(),
    )
    cors_origins: tuple[str, ...] = setting(
        "TWITCHAUDIO_CORS_ORIGINS",
        Format(
            origins, "comma-separated origins such as https://app.example or http://localhost:3000, without a path"
        ),
        help="websites whose pages may call the API from a browser, with an API key; never with cookies",
        default=(),
    )
    log_level: str = setting(
        "TWITCHAUDIO_LOG_LEVEL",
        one_of(*LOG_LEVELS),
        help="what is logged, as JSON lines on standard error",
        default="info",
    )

    @property
    def path_prefix(self) -> str:
        """The path that the website is below, such as `/twitchaudio`; empty when it has its host for itself."""
        return "" if self.base_url is None else self.base_url.raw_path.rstrip("/")


def one_of_workers(settings: ServerSettings, workers: int) -> ServerSettings:
    """The settings of one of several processes of a server: its share of the cores and captures, at least one."""
    return replace(
        settings,
        cores=max(1, settings.cores // workers),
        captures_at_once=max(1, settings.captures_at_once // workers),
    )
