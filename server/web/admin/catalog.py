"""`/admin/catalog`: the operator's music, with search, removal, and a folder to add."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from aiohttp import web
from yarl import URL

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.problems import CatalogError
from fingerprint.catalog.removal import bring_back, clear_aside, include_again, remove_track
from fingerprint.catalog.tracks import TrackEntry
from fingerprint.domain.artwork import artwork_of
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.text import clock_text
from fingerprint.setting_formats import CatalogPlace
from server import keys
from server.access.revocations import UNDO_WITHIN
from server.audit.changes import ChangeLog
from server.own_command import as_typed
from server.web.admin.catalog_job import CatalogJob
from server.web.admin.common import Operator
from server.web.admin.sections import Change, Form

T = TypeVar("T")

PAGE: Final = 50
SEARCH_LIMIT: Final = 200
MAX_PAGE: Final = 100_000
MAX_EXCLUDED: Final = 100
ASIDE: Final = "removed-tracks"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCatalog:
    """A catalog of the settings. `why_not` says why it cannot be changed here; empty if it can be."""

    number: int
    name: str
    folder: Path
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRow:
    """A track as the page shows it."""

    id: str
    title: str
    artists: str
    album: str
    length: str
    files: Sequence[str]
    origin: str
    cover: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPage:
    """What the page shows. `previous`, `following`: addresses of the pages beside it, empty without one."""

    place: ListedCatalog
    places: Sequence[ListedCatalog]
    search: str
    rows: Sequence[TrackRow]
    tracks: int
    first: int
    previous: str
    following: str
    excluded: Sequence[str] = ()
    trouble: str = ""


class AdminCatalog:
    """Reads and changes the catalogs of the settings. `close` it when the server stops."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        pipeline = app[keys.SETTINGS].pipeline
        self._data_dir = pipeline.data_dir
        self._places = [
            (place, pipeline.catalog_folder(place)) for place in dict.fromkeys(pipeline.catalog_places)
        ]
        self._catalogs: dict[Path, Catalog] = {}
        self.job = CatalogJob(pipeline.data_dir)

    async def page(self, query: Form) -> CatalogPage:
        """The page that a query asks for. Raises TwitchAudioError `invalid-input`."""
        number = _number(query.text("page"), MAX_PAGE) or 1
        search = query.text("q")[:SEARCH_LIMIT]
        return await asyncio.to_thread(self._page, self._chosen(query), search, number)

    def _chosen(self, form: Form) -> int:
        number = _number(form.text("catalog"), len(self._places)) or 1
        return number - 1

    def _page(self, chosen: int, search: str, number: int) -> CatalogPage:
        places = [_place(index, *place) for index, place in enumerate(self._places)]
        place, first = places[chosen], (number - 1) * PAGE
        catalog = self._catalogs.setdefault(place.folder, Catalog(place.folder))
        trouble, tracks, rows, more, excluded = "", 0, list[TrackRow](), False, tuple[str, ...]()
        try:
            snapshot = catalog.snapshot()
            tracks, excluded = len(snapshot), snapshot.manifest.excluded[-MAX_EXCLUDED:]
            found = snapshot.page(search.split(), first, PAGE + 1)
            more = len(found) > PAGE
            rows = [_row(catalog, entry) for entry in found[:PAGE]]
        except CatalogError as error:
            trouble = error.detail

        def address(page: int) -> str:
            values = {"catalog": str(chosen + 1), "q": search, "page": str(page)}
            plain = {"catalog": "1", "q": "", "page": "1"}
            return str(URL.build(path="/admin/catalog", query={k: v for k, v in values.items() if v != plain[k]}))

        return CatalogPage(
            place=place,
            places=places,
            search=search,
            rows=rows,
            tracks=tracks,
            first=first + 1,
            previous=address(number - 1) if number > 1 else "",
            following=address(number + 1) if more else "",
            excluded=excluded[::-1],
            trouble=trouble,
        )

    async def change(self, operator: Operator, form: Form) -> Change:
        """What a form asks for. Raises TwitchAudioError."""
        place = await asyncio.to_thread(self._place_of, form)
        match form.text("action"):
            case "add":
                return await self._add(operator, place, form.text("path"))
            case "cancel":
                await self.job.cancel()
                return Change(message="Stopping. What was added until now stays.")
            case "remove":
                return await self._remove(operator, place, form.text("key"))
            case "include":
                return await self._include(operator, place, form.text("key"))
            case "undo":
                return await self._bring_back(operator, place, form.text("key"))
            case _:
                raise invalid_input("The form says neither to add nor to remove.")

    def _place_of(self, form: Form) -> ListedCatalog:
        index = self._chosen(form)
        return _place(index, *self._places[index])

    async def _add(self, operator: Operator, place: ListedCatalog, path: str) -> Change:
        _require_changeable(place)
        workers = max(1, self._app[keys.SETTINGS].cores // 2)
        path = await self.job.start(path, catalog=place.name, by=operator.who.name or "", workers=workers)
        await self._record(operator, "music added to the catalog", path, place)
        return Change(message="The music is being added.")

    async def _remove(self, operator: Operator, place: ListedCatalog, track_id: str) -> Change:
        _require_changeable(place)
        aside, seconds = self._data_dir / ASIDE, UNDO_WITHIN.total_seconds()

        def remove() -> TrackEntry | None:
            clear_aside(aside, within_seconds=seconds)
            return remove_track(place.folder, track_id, aside)

        entry = await _changed(remove)
        if entry is None:
            raise TwitchAudioError(ProblemCode.NOT_FOUND, "There is no such track in this catalog any more.")
        await self._record(operator, "track removed", f"{entry.id} {_named(entry)}"[:300], place)
        return Change(
            message=f"{_named(entry)} is removed, and its file is left out from now on. The file itself stays.",
            undo={"action": "undo", "key": entry.id, "catalog": str(place.number)},
        )

    async def _bring_back(self, operator: Operator, place: ListedCatalog, track_id: str) -> Change:
        _require_changeable(place)
        seconds = UNDO_WITHIN.total_seconds()
        entry = await _changed(
            lambda: bring_back(place.folder, track_id, self._data_dir / ASIDE, within_seconds=seconds)
        )
        if entry is None:
            detail = "A removal can be undone for a minute. Below the tracks, its file can be taken in again."
            raise TwitchAudioError(ProblemCode.NOT_FOUND, detail)
        await self._record(operator, "track brought back", f"{entry.id} {_named(entry)}"[:300], place)
        return Change(message=f"{_named(entry)} is in the catalog again.")

    async def _include(self, operator: Operator, place: ListedCatalog, pattern: str) -> Change:
        _require_changeable(place)
        if not await _changed(lambda: include_again(place.folder, pattern)):
            raise TwitchAudioError(ProblemCode.NOT_FOUND, "Nothing is left out by this pattern any more.")
        await self._record(operator, "files taken in again", pattern, place)
        return Change(message="It is not left out any more. Add its folder again to have it in the catalog.")

    async def _record(self, operator: Operator, what: str, subject: str, place: ListedCatalog) -> None:
        changes = ChangeLog(operator.who, clock=self._app[keys.CLOCK])
        await self._app[keys.DATABASE].transact(
            lambda connection: changes.record(connection, what, subject, after=place.name)
        )

    async def close(self) -> None:
        """End what this server adds."""
        await self.job.close()


async def _changed(change: Callable[[], T]) -> T:
    """The result of a change of a catalog. Raises TwitchAudioError `busy` when it cannot be changed."""
    try:
        return await asyncio.to_thread(change)
    except CatalogError as error:
        raise TwitchAudioError(ProblemCode.BUSY, error.detail, retry_after_seconds=5.0) from error
    except OSError as error:
        detail = f"The catalog cannot be changed: {error.strerror or error}."
        raise TwitchAudioError(ProblemCode.BUSY, detail) from error


def _require_changeable(place: ListedCatalog) -> None:
    if place.why_not:
        raise TwitchAudioError(ProblemCode.INVALID_INPUT, place.why_not)


def _place(index: int, place: CatalogPlace, folder: Path) -> ListedCatalog:
    why_not = ""
    if not isinstance(place, Path):
        why_not = (
            "This catalog is in object storage. Change it with "
            f"`twitchaudio catalog add PATH --catalog {place}`; servers follow within a minute."
        )
    elif folder.exists() and not os.access(folder, os.W_OK):
        why_not = "This catalog is read-only: the server may not write to its folder."
    return ListedCatalog(number=index + 1, name=str(place), folder=folder, why_not=as_typed(why_not))


def _row(catalog: Catalog, entry: TrackEntry) -> TrackRow:
    track = entry.track
    cover = None if track.cover is None else catalog.cover_named(track.cover)
    origins = [
        name
        for name, is_so in (
            ("file tags", any(source.tags.title for source in entry.sources)),
            ("sidecar", any(source.sidecar is not None for source in entry.sources)),
            ("import", any(source.owner for source in entry.sources)),
        )
        if is_so
    ]
    return TrackRow(
        id=entry.id,
        title=track.title,
        artists=", ".join(track.artists),
        album=track.album or "",
        length=clock_text(track.duration_seconds),
        files=[source.path for source in entry.sources],
        origin=", ".join(origins) or "file name",
        cover="" if cover is None else artwork_of(cover.digest, cover.width, cover.height)[-1].url,
    )


def _named(entry: TrackEntry) -> str:
    track = entry.track
    return f"{', '.join(track.artists)} - {track.title}" if track.artists else track.title


def _number(text: str, most: int) -> int | None:
    """A whole number from 1; None for an empty text. Raises TwitchAudioError `invalid-input`."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= most):
        raise invalid_input(f"There is no page or catalog {text[:20]}.")
    return int(text)
