"""The recognizers by name. A new one is a file here and a line in `REGISTRY`; it must pass the contract suite."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from yarl import URL

from fingerprint.catalog.recognition_pool import RecognitionPool
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Recognizer
from fingerprint.providers.calls import ProviderCalls
from fingerprint.providers.uploads import UploadTable
from fingerprint.recognizers.acrcloud import AcrCloudRecognizer
from fingerprint.recognizers.audd import AuddRecognizer
from fingerprint.recognizers.catalog import CatalogRecognizer
from fingerprint.recognizers.learned import LearnedRecognizer
from fingerprint.recognizers.shazam import ShazamRecognizer


@dataclass(frozen=True, slots=True)
class Resources:
    """Resources that recognizers share and do not own: calls to providers, and the catalog's worker pool.

    `learned_pool`: that of the learned catalog. `catalog_problems`: why shared catalogs cannot be reached now, one
    sentence for each.
    """

    calls: ProviderCalls
    recognition_pool: RecognitionPool | None = None
    learned_pool: RecognitionPool | None = None
    catalog_problems: Callable[[], Sequence[str]] = tuple


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryEntry:
    """How to create a recognizer, and what is known about it before.

    `is_configured`: whether the settings contain what it needs, such as keys. `origins`: where it sends questions.
    `free`: it costs nothing for each question, so it is asked about further takes of a live stream too, and has no
    budget. `by_default`: whether it is asked without being named in the settings, once it is configured.
    """

    factory: Callable[[PipelineSettings, Resources], Recognizer[Any]]
    is_configured: Callable[[PipelineSettings], bool]
    origins: Callable[[PipelineSettings], Sequence[URL]]
    free: bool = False
    by_default: Callable[[PipelineSettings], bool] = lambda _: True


def _catalog(settings: PipelineSettings, resources: Resources) -> CatalogRecognizer:
    return CatalogRecognizer(
        *settings.catalog_dirs, pool=resources.recognition_pool, problems=resources.catalog_problems
    )


def _acrcloud(settings: PipelineSettings, resources: Resources) -> AcrCloudRecognizer:
    providers = settings.providers
    base, key, secret = providers.acrcloud_base, providers.acrcloud_access_key, providers.acrcloud_access_secret
    assert base is not None and key is not None and secret is not None, "only made when it is configured"  # noqa: PT018 - one condition
    return AcrCloudRecognizer(
        resources.calls,
        base,
        access_key=key,
        access_secret=secret,
        send=providers.acrcloud_send,
        uploads=UploadTable(settings.uploads_path, "acrcloud_id"),
    )


def _acrcloud_origins(settings: PipelineSettings) -> Sequence[URL]:
    base = settings.providers.acrcloud_base
    return () if base is None else (base,)


def _audd(settings: PipelineSettings, resources: Resources) -> AuddRecognizer:
    token = settings.providers.audd_api_token
    assert token is not None, "only made when it is configured"
    uploads = UploadTable(settings.uploads_path, "audd_id")
    return AuddRecognizer(resources.calls, settings.providers.audd_url, api_token=token, uploads=uploads)


REGISTRY: Final[dict[str, RegistryEntry]] = {
    "catalog": RegistryEntry(factory=_catalog, is_configured=lambda _: True, origins=lambda _: (), free=True),
    "learned": RegistryEntry(
        factory=lambda settings, resources: LearnedRecognizer(
            CatalogRecognizer(settings.learned_dir, pool=resources.learned_pool)
        ),
        is_configured=lambda _: True,
        origins=lambda _: (),
        free=True,
        by_default=lambda settings: settings.learns,
    ),
    "acrcloud": RegistryEntry(
        factory=_acrcloud,
        is_configured=lambda settings: settings.providers.acrcloud_is_set,
        origins=_acrcloud_origins,
    ),
    "audd": RegistryEntry(
        factory=_audd,
        is_configured=lambda settings: settings.providers.audd_api_token is not None,
        origins=lambda settings: (settings.providers.audd_url,),
    ),
    "shazam": RegistryEntry(
        factory=lambda settings, resources: ShazamRecognizer(resources.calls, settings.providers.shazam_url),
        is_configured=lambda _: True,
        origins=lambda settings: (settings.providers.shazam_url,),
        by_default=lambda _: False,
    ),
}
"""In the order in which they are asked by default: the free ones first."""


def chosen_names(settings: PipelineSettings) -> tuple[str, ...]:
    """The recognizers named in the settings; without names, those that are configured."""
    if settings.recognizers:
        return settings.recognizers
    return tuple(
        name for name, entry in REGISTRY.items() if entry.by_default(settings) and entry.is_configured(settings)
    )
