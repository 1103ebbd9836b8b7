"""The recognizers by name. A new one is a file here and a line in `REGISTRY`; it must pass the contract suite."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from fingerprint.ports import Recognizer
from fingerprint.recognizers.catalog import CatalogRecognizer
from fingerprint.settings import PipelineSettings


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """How a recognizer is made from the settings, and whether they hold what it needs, such as keys."""

    factory: Callable[[PipelineSettings], Recognizer[Any]]
    is_configured: Callable[[PipelineSettings], bool]


def _catalog(settings: PipelineSettings) -> CatalogRecognizer:
    return CatalogRecognizer(settings.catalog_dir)


def _always(_settings: PipelineSettings) -> bool:
    return True


REGISTRY: Final[dict[str, RegistryEntry]] = {"catalog": RegistryEntry(_catalog, _always)}
