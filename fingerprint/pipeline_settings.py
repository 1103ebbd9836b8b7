"""The settings of the pipeline, which a server, a command and a Lambda function share."""

from dataclasses import dataclass, field
from pathlib import Path

from fingerprint.setting_formats import (
    ENDPOINT,
    CatalogPlace,
    Format,
    S3Address,
    catalog_places,
    default_data_dir,
    one_of,
    path,
    whole_number,
    words,
)
from fingerprint.settings import setting
from fingerprint.upstream_settings import DynamoDbSettings, LinkSettings, ProviderSettings, TwitchSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """The settings of the pipeline, in a server, a command or a Lambda function."""

    twitch: TwitchSettings = field(default_factory=TwitchSettings)
    providers: ProviderSettings = field(default_factory=ProviderSettings)
    links: LinkSettings = field(default_factory=LinkSettings)
    data_dir: Path = setting(
        "TWITCHAUDIO_DATA_DIR",
        Format(path, "a folder"),
        help="where the SQLite file, the catalog and secrets are kept",
        default_factory=default_data_dir,
        default_text="the platform's user data folder",
    )
    database_url: str | None = setting(
        "TWITCHAUDIO_DATABASE_URL",
        Format(str, "sqlite:///PATH or mysql://USER:PASSWORD@HOST:PORT/NAME (MySQL 8, MariaDB 10.6 or newer)"),
        help="where jobs, answers and access data are stored",
        default_text="SQLite in the data folder",
        hidden=True,
    )
    jobs: str = setting(
        "TWITCHAUDIO_JOBS",
        one_of("sql", "dynamodb"),
        help="where job state is stored: in the SQL database, or in tables in DynamoDB",
        default="sql",
    )
    dynamodb: DynamoDbSettings = field(default_factory=DynamoDbSettings)
    keep_days: int | None = setting(
        "TWITCHAUDIO_KEEP_DAYS",
        whole_number(1, 36_500),
        help="after how many days answers, and reports about them, are deleted, in SQL and in DynamoDB; songs "
        "found in clips and videos are kept",
        default_text="never",
    )
    unknown_days: int = setting(
        "TWITCHAUDIO_UNKNOWN_DAYS",
        whole_number(0, 3_650),
        help="for how many days the fingerprints of moments without a song are kept (not the sound), to search "
        "for them again when a catalog grows; 0 keeps none",
        default=30,
    )
    learn: str = setting(
        "TWITCHAUDIO_LEARN",
        one_of("off", "on"),
        help="whether to keep fingerprints of what a provider named (not the sound), so that the same song is "
        "named on other channels without asking the provider again",
        default="off",
    )
    learn_mb: int = setting(
        "TWITCHAUDIO_LEARN_MB",
        whole_number(1, 1_000_000),
        help="how large these fingerprints may become in the database, in MiB; beyond that, the oldest are "
        "deleted",
        default=512,
    )
    learn_days: int = setting(
        "TWITCHAUDIO_LEARN_DAYS",
        whole_number(1, 3_650),
        help="for how many days they are kept; with a lower TWITCHAUDIO_KEEP_DAYS, for that many",
        default=180,
    )
    recognizers: tuple[str, ...] = setting(
        "TWITCHAUDIO_RECOGNIZERS",
        Format(words, "comma-separated recognizer names"),
        help="the recognizers, asked in order until one finds the song",
        default=(),
        default_text="catalog, then learned with TWITCHAUDIO_LEARN=on, then acrcloud and audd if their keys are "
        "set",
    )
    ask: str = setting(
        "TWITCHAUDIO_ASK",
        one_of("in-order", "together"),
        help="whether recognizers are asked one after another until one finds the song, or all at once; then the "
        "first match wins, and others that agree within a second raise its score",
        default="in-order",
    )
    clip_parts: int = setting(
        "TWITCHAUDIO_CLIP_PARTS",
        whole_number(1, 10),
        help="how many parts of a clip, of 12 s each, a provider is asked about at the same time; each part is a "
        "question; with 1, only the loudest part is used",
        default=5,
    )
    recognizer_seconds: int = setting(
        "TWITCHAUDIO_RECOGNIZER_SECONDS",
        whole_number(1, 20),
        help="how many seconds each provider may take; the catalog has as long as the job",
        default=5,
    )

    catalogs: tuple[CatalogPlace, ...] = setting(
        "TWITCHAUDIO_CATALOGS",
        Format(catalog_places, "comma-separated folders, or addresses such as s3://bucket/prefix"),
        help="the catalogs of music, searched together; `twitchaudio catalog` changes the first one",
        default=(),
        default_text="the one in the data folder",
    )
    s3_endpoint: str | None = setting(
        "TWITCHAUDIO_S3_ENDPOINT",
        ENDPOINT,
        help="the address of object storage on a service other than AWS; credentials and region come from the "
        "usual AWS variables",
        default_text="AWS",
    )
    catalog_copies: Path | None = setting(
        "TWITCHAUDIO_CATALOG_COPIES",
        Format(path, "a folder"),
        help="where this machine keeps its copies of catalogs in object storage",
        default_text="catalog-copies in the data folder",
    )
    catalog_copies_mb: int = setting(
        "TWITCHAUDIO_CATALOG_COPIES_MB",
        whole_number(1, 10_000_000),
        help="how large these copies may be in total, in MiB",
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
