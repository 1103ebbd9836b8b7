"""Where a command of `twitchaudio catalog` works, and how it opens the catalog there."""

import argparse
import contextlib
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.manifest import require_catalog
from fingerprint.catalog.problems import CatalogError
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.domain.text import printable
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.setting_formats import CatalogPlace
from fingerprint.settings import read_settings
from server.cli import Run
from server.cli.catalog.text import count_text

if TYPE_CHECKING:
    from fingerprint.remote_catalogs.writing import RemoteCatalog


@dataclass(frozen=True, slots=True)
class CommandPlace:
    """Where a command works: a catalog's folder, or the copy of one in object storage."""

    name: str
    folder: Path
    remote: "RemoteCatalog | None" = None


def run_in_place(run: Run, arguments: argparse.Namespace) -> int | None:
    """Run a command on the catalog that is named, or on the first one of the settings."""
    settings = read_settings(PipelineSettings)
    chosen = cast("CatalogPlace | None", arguments.catalog) or settings.catalog_places[0]
    if isinstance(chosen, Path):
        arguments.place = CommandPlace(str(chosen), chosen)
        return run(arguments)
    from fingerprint.remote_catalogs.writing import open_remote_catalog  # noqa: PLC0415 - it loads AWS's library

    with open_remote_catalog(settings, chosen) as remote:
        arguments.place = CommandPlace(str(chosen), remote.folder, remote)
        return run(arguments)


def place_of(arguments: argparse.Namespace) -> CommandPlace:
    """Where a command works, once `run_in_place` has found it out."""
    return cast("CommandPlace", arguments.place)


def open_writer(arguments: argparse.Namespace, *, create: bool = False) -> CatalogWriter:
    """A writer of the catalog at the command's place."""
    place = place_of(arguments)
    return CatalogWriter(place.folder, create=create, store=place.remote)


def open_catalog(arguments: argparse.Namespace) -> Catalog:
    """The catalog to read; one that is named must be there, while the one in the data folder may not be yet."""
    place = place_of(arguments)
    if place.remote is not None:
        warning = place.remote.refresh_for_reading()
        if warning is not None:
            print(f"twitchaudio: {warning}", file=sys.stderr)
    elif arguments.catalog is not None:
        require_catalog(place.folder)
    return Catalog(place.folder, any_fingerprint=True)


@contextlib.contextmanager
def saying_what_is_held(arguments: argparse.Namespace, next_step: str = "") -> Generator[None]:
    """Have Ctrl-C say how much the catalog holds now, for a command that changes it."""
    try:
        yield
    except KeyboardInterrupt:
        place = place_of(arguments)
        try:
            tracks = len(Catalog(place.folder, any_fingerprint=True).snapshot())
        except CatalogError as error:
            held = error.detail
        else:
            held = f"The catalog in {place.name} is whole and holds {count_text(tracks, 'track')}."
        print(printable(f"twitchaudio: interrupted. {held}{next_step}"), file=sys.stderr)
        raise


@contextlib.contextmanager
def saying_that_nothing_was_made(place: Path) -> Generator[None]:
    """Have Ctrl-C say so, for a command that makes a file or folder whole or not at all."""
    try:
        yield
    except KeyboardInterrupt:
        print(printable(f"twitchaudio: interrupted. Nothing was written to {place}."), file=sys.stderr)
        raise


def fetch_covers(arguments: argparse.Namespace) -> None:
    """Have all covers here, for a command that reads them."""
    remote = place_of(arguments).remote
    if remote is not None:
        remote.fetch_covers()
