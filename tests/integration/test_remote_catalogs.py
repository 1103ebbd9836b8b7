"""Catalogs in object storage: written by several machines at once, read by others, and what breaks in between."""

import asyncio
import contextlib
import gc
import html
import io
import json
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from aiobotocore.session import get_session
from aiohttp import web
from aiohttp.test_utils import TestServer

from fingerprint.catalog.fingerprint import fingerprint_track
from fingerprint.catalog.index import Catalog
from fingerprint.catalog.problems import CatalogError, ChangedElsewhereError
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.tracks import Source, TrackEntry
from fingerprint.catalog.writer import CatalogWriter
from fingerprint.media.small_pictures import small_jpeg
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.recognizers import REGISTRY, Resources
from fingerprint.remote_catalogs import copies, object_store, writing
from fingerprint.remote_catalogs.copies import Copy
from fingerprint.remote_catalogs.follower import CatalogFollower
from fingerprint.remote_catalogs.object_store import ObjectStore, open_store
from fingerprint.remote_catalogs.writing import open_remote_catalog
from fingerprint.setting_formats import S3Address
from fingerprint.settings import read_settings
from server.cli import main
from server.vitals import room_of
from tests.emulators import CREDENTIALS, REGION, Emulator, free_port
from tests.pictures import picture
from tests.unit.catalog.music import tune
from tests.unit.catalog.shelf import entry, track

PLENTY = 1 << 30
DATED = "twitchaudio-20260301T00000{}Z.tar"
SESSION = get_session()


@pytest.fixture(autouse=True)
def _models_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each session reads what S3 is from the disk: half a second of these tests' time for each command."""
    monkeypatch.setattr("fingerprint.remote_catalogs.object_store.get_session", lambda: SESSION)


@pytest.fixture(params=["ministack", "moto"])
def emulator(request: pytest.FixtureRequest) -> Emulator:
    return request.getfixturevalue(request.param)


async def _bucket(endpoint: str, name: str) -> None:
    async with SESSION.create_client("s3", endpoint_url=endpoint, region_name=REGION) as client:
        await client.create_bucket(Bucket=name)


def new_address(emulator: Emulator) -> S3Address:
    bucket = emulator.new_names()[0]
    asyncio.run(_bucket(emulator.endpoint, bucket))
    return S3Address(bucket, "labels/harbour")


def machine(folder: Path, address: S3Address, endpoint: str, **more: str) -> PipelineSettings:
    """The settings of one machine."""
    environment = {
        "TWITCHAUDIO_DATA_DIR": str(folder),
        "TWITCHAUDIO_CATALOGS": str(address),
        "TWITCHAUDIO_S3_ENDPOINT": endpoint,
        **more,
    }
    return read_settings(PipelineSettings, environment)


def change(settings: PipelineSettings, *changes: Callable[[CatalogWriter], object]) -> None:
    """Make changes as one machine's commands."""
    (address,) = settings.remote_catalogs
    with (
        open_remote_catalog(settings, address) as remote,
        CatalogWriter(remote.folder, store=remote) as writer,
    ):
        for each in changes:
            each(writer)


def adding(*numbers: int) -> Callable[[CatalogWriter], object]:
    return lambda writer: writer.add([entry(number, tune(1, 3.0)) for number in numbers])


def refresh(settings: PipelineSettings, *, covers: bool = False) -> dict[S3Address, str]:
    async def once() -> dict[S3Address, str]:
        async with CatalogFollower(settings, poll_seconds=0) as follower:
            await follower.refresh(covers=covers)
            return dict(follower.problems)

    return asyncio.run(once())


def titles(settings: PipelineSettings) -> set[str]:
    return {found.title for found in Catalog(settings.catalog_dir).snapshot().tracks()}


async def _objects(settings: PipelineSettings, folder: str = "") -> set[str]:
    (address,) = settings.remote_catalogs
    async with open_store(address, settings.s3_endpoint) as store:
        return {each.name for each in await store.files(folder)}


def objects(settings: PipelineSettings, folder: str = "") -> set[str]:
    return asyncio.run(_objects(settings, folder))


def test_what_one_machine_adds_another_one_names_and_removes(tmp_path: Path, emulator: Emulator) -> None:
    address = new_address(emulator)
    one, other, server = (machine(tmp_path / name, address, emulator.endpoint) for name in ("a", "b", "server"))
    assert "There is no catalog" in refresh(server)[address]
    change(one, *(adding(number) for number in range(5)), lambda writer: writer.exclude(["demos/"]))
    assert refresh(server) == {}
    reader = Catalog(server.catalog_dir)
    assert len(reader.snapshot()) == 5
    change(other, lambda writer: writer.remove([f"{number:012x}" for number in (1, 2)]), adding(7))
    assert refresh(server) == {}
    assert titles(server) == {"Song 0", "Song 3", "Song 4", "Song 7"}
    assert len(reader.snapshot()) == 4
    assert reader.verify() == []
    # Nothing is left over, here or there.
    listed = reader.snapshot().manifest.files
    assert objects(server) == listed
    assert {path.name for path in server.catalog_dir.glob("*.seg")} == listed


def with_cover(number: int, content: bytes) -> Callable[[CatalogWriter], str]:
    """Adds a track with a cover; returns its id."""

    def add(writer: CatalogWriter) -> str:
        source = Source(path=f"/{number}.flac", tags=Tags(title=str(number)), cover=writer.keep_cover(content))
        sound = fingerprint_track([tune(number, 3.0)])
        writer.add([(TrackEntry(id=sound.track_id, duration_seconds=3.0, sources=(source,)), sound)])
        return sound.track_id

    return add


def test_covers_are_shared(tmp_path: Path, ministack: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    address = new_address(ministack)
    one, server = (machine(tmp_path / name, address, ministack.endpoint) for name in ("a", "server"))
    content = small_jpeg(picture(), "image/jpeg", max_edge=640)
    change(one, adding(7), with_cover(1, content))
    refresh(server, covers=True)
    reader = Catalog(server.catalog_dir)
    [track_id] = [found.id for found in reader.snapshot().tracks() if found.cover]
    cover = reader.cover(track_id)
    assert cover is not None
    assert cover.content == content
    change(one, lambda writer: writer.remove([track_id]))
    assert refresh(server, covers=True) == {}
    assert list((server.catalog_dir / "covers").iterdir()) == []
    assert objects(one, "covers/") == {f"covers/{cover.name}"}, "another writer may need it"
    monkeypatch.setattr(writing, "UNUSED_COVER", timedelta(seconds=-1))
    change(one, with_cover(2, small_jpeg(picture(seed=2), "image/jpeg", max_edge=640)))
    assert len(objects(one, "covers/") - {f"covers/{cover.name}"}) == len(objects(one, "covers/")) == 1


def test_a_cover_that_another_writer_has_just_put_is_not_deleted(tmp_path: Path, ministack: Emulator) -> None:
    address = new_address(ministack)
    one, other, server = (machine(tmp_path / name, address, ministack.endpoint) for name in ("a", "b", "server"))
    content = small_jpeg(picture(), "image/jpeg", max_edge=640)
    first: list[str] = []
    change(one, lambda writer: first.append(with_cover(1, content)(writer)))

    with open_remote_catalog(other, address) as remote, CatalogWriter(remote.folder, store=remote) as writer:
        publish = remote.publish

        def late(manifest: bytes, files: Sequence[Path]) -> None:
            monkeypatch.undo()
            # The cover is up, the track is not: now the only track that had it is removed.
            change(one, lambda other_writer: other_writer.remove(first))
            publish(manifest, files)

        monkeypatch = pytest.MonkeyPatch()
        monkeypatch.setattr(remote, "publish", late)
        second = with_cover(2, content)(writer)
    refresh(server, covers=True)
    reader = Catalog(server.catalog_dir)
    assert {found.id for found in reader.snapshot().tracks()} == {second}
    cover = reader.cover(second)
    assert cover is not None
    assert cover.content == content


@pytest.mark.parametrize("instead", [None, b"no picture", bytes(copies.MAX_COVER_BYTES + 1)])
def test_a_cover_that_does_not_come_stops_no_other(
    tmp_path: Path, ministack: Emulator, monkeypatch: pytest.MonkeyPatch, instead: bytes | None
) -> None:
    monkeypatch.setattr(copies, "COVERS_OF_A_TURN", 1)
    address = new_address(ministack)
    one, server = (machine(tmp_path / name, address, ministack.endpoint) for name in ("a", "server"))
    contents = [small_jpeg(picture(), "image/jpeg", max_edge=edge) for edge in (20, 40)]

    def add(writer: CatalogWriter) -> None:
        for number, content in enumerate(contents):
            source = Source(path=f"/{number}.flac", tags=Tags(title=str(number)), cover=writer.keep_cover(content))
            sound = fingerprint_track([tune(number, 3.0)])
            writer.add([(TrackEntry(id=sound.track_id, duration_seconds=3.0, sources=(source,)), sound)])

    change(one, add)
    refresh(server)

    async def fetch() -> None:
        async with SESSION.create_client("s3", endpoint_url=ministack.endpoint, region_name=REGION) as client:
            key = f"{address.prefix}/covers/{min(path.name for path in (one.catalog_dir / 'covers').iterdir())}"
            await client.delete_object(Bucket=address.bucket, Key=key)
            if instead is not None:
                await client.put_object(Bucket=address.bucket, Key=key, Body=instead)
        async with open_store(address, ministack.endpoint) as store:
            copy = Copy(store, server.catalog_dir, max_bytes=PLENTY)
            assert await copy.fetch_covers()
            assert not await copy.fetch_covers()

    asyncio.run(fetch())
    assert len(list((server.catalog_dir / "covers").iterdir())) == 1


def test_two_writers_at_once_lose_nothing(tmp_path: Path, ministack: Emulator) -> None:
    address = new_address(ministack)
    tracks = {number: entry(number, tune(1, 3.0)) for number in range(8)}
    shared = fingerprint_track([tune(2, 3.0)])
    both = Barrier(2)

    def work(name: str, numbers: Sequence[int]) -> None:
        def of_shared(writer: CatalogWriter) -> None:
            source = Source(path=f"/{name}/shared.flac", tags=Tags(title="Shared"))
            known = writer.snapshot().entry(shared.track_id)
            sources = (*(known.sources if known else ()), source)
            writer.add([(TrackEntry(id=shared.track_id, duration_seconds=3.0, sources=sources), shared)])

        def one_by_one(writer: CatalogWriter) -> None:
            for number in numbers:
                writer.add([tracks[number]])

        both.wait()
        change(machine(tmp_path / name, address, ministack.endpoint), of_shared, one_by_one)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, "a", range(4)), pool.submit(work, "b", range(4, 8))]:
            done.result()
    reader = machine(tmp_path / "reader", address, ministack.endpoint)
    assert refresh(reader) == {}
    assert titles(reader) == {"Shared", *(f"Song {number}" for number in range(8))}
    found = Catalog(reader.catalog_dir).snapshot().entry(shared.track_id)
    assert found is not None
    assert {source.path for source in found.sources} == {"/a/shared.flac", "/b/shared.flac"}
    assert objects(reader) == Catalog(reader.catalog_dir).snapshot().manifest.files


def test_a_reader_that_is_killed_goes_on_with_what_it_has(
    tmp_path: Path, ministack: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = new_address(ministack)
    change(machine(tmp_path / "a", address, ministack.endpoint), *(adding(number) for number in range(3)))
    reader = machine(tmp_path / "reader", address, ministack.endpoint)
    download = ObjectStore.download
    fetched: list[str] = []

    async def counted(store: ObjectStore, name: str, *arguments: Any, **named: Any) -> int:
        fetched.append(name)
        return await download(store, name, *arguments, **named)

    async def killed(store: ObjectStore, name: str, *arguments: Any, **named: Any) -> int:
        if fetched:
            os._exit(9)
        return await counted(store, name, *arguments, **named)

    child = os.fork()
    if child == 0:
        try:
            monkeypatch.setattr("fingerprint.remote_catalogs.copies.FETCHED_AT_ONCE", 1)
            monkeypatch.setattr(ObjectStore, "download", killed)
            refresh(reader)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert len(Catalog(reader.catalog_dir).snapshot()) == 0
    monkeypatch.setattr(ObjectStore, "download", counted)
    assert refresh(reader) == {}
    assert len(fetched) == 2
    assert titles(reader) == {"Song 0", "Song 1", "Song 2"}
    # What is here already is not fetched again.
    change(machine(tmp_path / "a", address, ministack.endpoint), adding(3))
    refresh(reader)
    assert len(titles(reader)) == 4


def test_without_a_network_the_last_catalog_answers_and_says_so(
    tmp_path: Path, ministack: Emulator, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    address = new_address(ministack)
    change(machine(tmp_path / "a", address, ministack.endpoint), adding(1))
    nowhere = f"http://127.0.0.1:{free_port()}"
    cut_off = machine(tmp_path / "a", address, nowhere)
    with caplog.at_level(logging.INFO):
        assert "cannot be reached" in refresh(cut_off)[address]
    (record,) = [each for each in caplog.records if each.getMessage() == "catalog_not_refreshed"]
    assert vars(record)["answers_from_copy"] is True
    assert titles(cut_off) == {"Song 1"}
    with pytest.raises(CatalogError, match="cannot be reached"):
        change(cut_off, adding(2))
    assert titles(cut_off) == {"Song 1"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path / "a"))
        patched.setenv("TWITCHAUDIO_S3_ENDPOINT", nowhere)
        assert main(["catalog", "list", "--json", "--catalog", str(address)]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["title"] == "Song 1"
        assert "minutes ago" in err
        patched.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path / "new"))
        assert main(["catalog", "list", "--catalog", str(address)]) == 1
        assert "cannot be reached" in capsys.readouterr().err
    secret = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
    assert secret not in out + err + caplog.text + "".join(map(str, (vars(each) for each in caplog.records)))


async def test_an_empty_machine_says_why_it_names_nothing(tmp_path: Path, ministack: Emulator) -> None:
    settings = machine(tmp_path, S3Address("no-such-bucket-here", "x"), ministack.endpoint)
    async with CatalogFollower(settings) as follower:
        await follower.refresh()
        resources: Any = Resources
        recognizer = REGISTRY["catalog"].factory(
            settings, resources(None, catalog_problems=lambda: tuple(follower.problems.values()))
        )
        reason = await recognizer.unavailable_reason()
    assert reason is not None
    assert "there is no bucket no-such-bucket-here" in reason


async def test_a_full_disk_is_not_taken_for_a_service_that_cannot_be_reached(
    tmp_path: Path, ministack: Emulator
) -> None:
    bucket = ministack.new_names()[0]
    await _bucket(ministack.endpoint, bucket)
    file = tmp_path / "00000001.seg"
    await asyncio.to_thread(file.write_bytes, bytes(100_000))
    async with open_store(S3Address(bucket, "x"), ministack.endpoint) as store:
        await store.upload(file)
        with (
            open("/dev/full", "wb", buffering=0) as full,  # noqa: ASYNC230, PTH123 - a device that takes nothing
            pytest.raises(CatalogError, match="No space left on device") as caught,
        ):
            await store.download(file.name, full, max_bytes=PLENTY)
        assert "cannot be reached" not in str(caught.value)
        with pytest.raises(CatalogError, match="No such file or directory"):
            await store.upload(tmp_path / "00000002.seg")


def test_the_command_line_works_on_an_address(
    tmp_path: Path, ministack: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = new_address(ministack)
    monkeypatch.setenv("TWITCHAUDIO_S3_ENDPOINT", ministack.endpoint)
    at = ["--catalog", str(address)]
    with CatalogWriter(tmp_path / "made") as writer:
        found = [fingerprint_track([tune(number, 3.0)]) for number in (1, 2)]
        writer.add(
            [(replace(track(n, 3.0), id=each.track_id), each) for n, each in zip((1, 2), found, strict=True)]
        )

    def run(*arguments: str) -> tuple[int, str]:
        status = main(["catalog", *arguments, *at])
        return status, capsys.readouterr().out

    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path / "one"))
    for command in ("list", "verify", "prune"):
        assert run(command)[0] == 1
    assert main(["catalog", "export", str(tmp_path / "x"), "--catalog", str(tmp_path / "made")]) == 0
    capsys.readouterr()
    assert run("import", str(tmp_path / "x"), "--owner", "Harbour")[0] == 0
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path / "two"))
    assert len(run("list")[1].splitlines()) == 2
    assert run("search", "song 2")[0] == 0
    assert json.loads(run("stats", "--json")[1])["directory"] == str(address)
    assert run("rebuild")[0] == 0
    assert run("verify") == (0, f"The catalog in {address} is whole: 2 tracks.\n")
    assert run("backup", str(tmp_path / "copy"))[0] == 0
    assert run("remove", "--owner", "Harbour")[0] == 0
    assert run("list") == (0, "")
    assert run("restore", str(tmp_path / "copy"))[0] == 0
    status, said = run("add", str(tmp_path / "gone"))
    assert (status, f"The catalog in {address} holds 2 tracks." in said) == (1, True)
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path / "one"))
    assert len(run("list")[1].splitlines()) == 2


async def test_a_manifest_that_was_stored_by_a_request_that_got_no_answer_counts(ministack: Emulator) -> None:
    bucket = ministack.new_names()[0]
    await _bucket(ministack.endpoint, bucket)
    async with open_store(S3Address(bucket), ministack.endpoint) as store:
        first = await store.replace_manifest(b"one", etag=None)
        assert await store.replace_manifest(b"one", etag=None) == first
        with pytest.raises(ChangedElsewhereError):
            await store.replace_manifest(b"two", etag=None)
        with pytest.raises(ChangedElsewhereError):
            await store.replace_manifest(b"two", etag='"other"')
        second = await store.replace_manifest(b"two", etag=first)
        assert await store.manifest(unless=second) is None


def test_a_catalog_that_is_too_large_or_damaged_is_named_and_the_copy_kept(
    tmp_path: Path, ministack: Emulator
) -> None:
    address = new_address(ministack)
    writer = machine(tmp_path / "a", address, ministack.endpoint)
    change(writer, adding(1))
    reader = machine(tmp_path / "reader", address, ministack.endpoint)
    assert refresh(reader) == {}
    change(writer, adding(2))

    async def tried(*, max_bytes: int) -> str:
        async with open_store(address, ministack.endpoint) as store:
            with pytest.raises(CatalogError) as raised:
                await Copy(store, reader.catalog_dir, max_bytes=max_bytes).refresh()
            return raised.value.detail

    assert "TWITCHAUDIO_CATALOG_COPIES_MB" in asyncio.run(tried(max_bytes=1000))

    async def overwrite(body: bytes | None) -> None:
        async with SESSION.create_client("s3", endpoint_url=ministack.endpoint, region_name=REGION) as client:
            (name,) = await _objects(reader) - {path.name for path in reader.catalog_dir.glob("*.seg")}
            key = f"{address.prefix}/{name}"
            if body is None:
                await client.delete_object(Bucket=address.bucket, Key=key)
            else:
                await client.put_object(Bucket=address.bucket, Key=key, Body=body)

    asyncio.run(overwrite(b"nothing"))
    assert "is damaged" in asyncio.run(tried(max_bytes=PLENTY))
    asyncio.run(overwrite(None))
    assert "lists files that are not there" in asyncio.run(tried(max_bytes=PLENTY))
    assert titles(reader) == {"Song 1"}
    assert Catalog(reader.catalog_dir).verify() == []


@pytest.mark.usefixtures("aws_credentials")
def test_of_a_file_that_is_too_large_no_connection_is_left_open() -> None:
    async def later(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "5000", "ETag": '"x"'})
        await response.prepare(request)
        await refused.wait()
        return response

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", later)
        async with (
            TestServer(app) as server,
            open_store(S3Address("bucket", "prefix"), str(server.make_url("/"))) as store,
        ):
            with pytest.raises(CatalogError, match="is larger than"):
                await store.download("x.seg", io.BytesIO(), max_bytes=1000)
            refused.set()

    refused = asyncio.Event()
    asyncio.run(run())
    gc.collect()  # A connection that was left open is this test's fault, and no later one's.


def test_backups_go_to_object_storage_and_come_back(
    tmp_path: Path, ministack: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"{new_address(ministack)}/backups"
    monkeypatch.setenv("TWITCHAUDIO_S3_ENDPOINT", ministack.endpoint)
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path / "data"))
    assert main(["admin", "keys", "create", "first"]) == 0
    times = iter(range(10))

    def dated(_number: int) -> str:
        return f"twitchaudio-20260301T00000{next(times)}Z.tar"

    monkeypatch.setattr("server.backups.making.dated_name", dated)
    for _ in range(3):
        assert main(["backup", place, "--keep", "2"]) == 0
    assert room_of(tmp_path / "data").backup_at > 0
    said = capsys.readouterr().out
    assert f"Backed up to {place}/twitchaudio-20260301T000002Z.tar" in said
    assert main(["backup", f"{place}/twitchaudio-20260301T000002Z.tar"]) == 1
    assert "add --force" in capsys.readouterr().err
    monkeypatch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path / "other"))
    assert main(["restore", f"{place}/twitchaudio-20260301T000000Z.tar"]) == 1
    assert "There is no backup" in capsys.readouterr().err
    assert main(["restore", place]) == 1
    assert "name one of them" in capsys.readouterr().err
    assert main(["restore", f"{place}/twitchaudio-20260301T000001Z.tar"]) == 0
    assert main(["admin", "keys"]) == 0
    assert "first" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "other").iterdir() if path.suffix == ".part"} == set()
    monkeypatch.setenv("TWITCHAUDIO_S3_ENDPOINT", "http://127.0.0.1:9")
    assert main(["backup", place]) == 1
    assert "The place for backups at s3://" in capsys.readouterr().err


@contextlib.asynccontextmanager
async def _answering(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncGenerator[ObjectStore]:
    """A store whose service answers like this."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with (
        TestServer(app) as server,
        open_store(S3Address("bucket", "prefix"), str(server.make_url("/"))) as store,
    ):
        yield store


async def _errors_of(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
    call: Callable[[ObjectStore], Awaitable[object]],
) -> str:
    async with _answering(answer) as store:
        with pytest.raises(CatalogError) as raised:
            await call(store)
    assert "\n" not in raised.value.detail
    return raised.value.detail


@pytest.mark.usefixtures("aws_credentials")
@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (503, "SlowDown", "try again later"),
        (500, "InternalError", "try again later"),
        (403, "RequestTimeTooSkewed", "clock is wrong"),
        (400, "ExpiredToken", "have expired"),
        (403, "SignatureDoesNotMatch", "credentials are wrong"),
        (400, "AuthorizationHeaderMalformed", "the region eu-central-1"),
        (412, "PreconditionFailed", "is being changed"),
        (418, "Odd\x1b[31m", "the service answers"),
    ],
)
def test_what_object_storage_refuses_is_said_in_one_line(
    status: int, code: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "ATTEMPTS", 1)

    async def refuse(_request: web.Request) -> web.Response:
        text = f"<Error><Code>{html.escape(code.replace(chr(27), '?'))}</Code><Message>No.</Message></Error>"
        headers = {"x-amz-bucket-region": "eu-central-1"}
        return web.Response(status=status, text=text, content_type="application/xml", headers=headers)

    detail = asyncio.run(_errors_of(refuse, lambda store: store.download("x.seg", io.BytesIO(), max_bytes=1000)))
    assert said in detail


@pytest.mark.usefixtures("aws_credentials")
def test_an_answer_that_ends_in_the_middle_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "ATTEMPTS", 1)

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "5000", "ETag": '"x"'})
        await response.prepare(request)
        await response.write(b"x" * 100)
        assert request.transport is not None
        request.transport.abort()
        return response

    async def download(store: ObjectStore) -> None:
        await store.download("x.seg", io.BytesIO(), max_bytes=9000)

    async def manifest(store: ObjectStore) -> None:
        await store.manifest(unless=None)

    for call in (download, manifest):
        assert "cannot be reached" in asyncio.run(_errors_of(cut, call))


@pytest.mark.usefixtures("aws_credentials")
def test_a_long_manifest_that_arrives_in_pieces_is_read_whole() -> None:
    whole = b'{"a manifest": "' + b"x" * 500_000 + b'"}'

    async def slowly(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(whole)), "ETag": '"x"'})
        await response.prepare(request)
        for first in range(0, len(whole), 70_000):
            await response.write(whole[first : first + 70_000])
            await asyncio.sleep(0)
        return response

    async def read() -> bytes:
        async with _answering(slowly) as store:
            found = await store.manifest(unless=None)
            assert found is not None
            return found.content

    assert asyncio.run(read()) == whole


async def test_an_upload_in_parts_that_fails_leaves_nothing(
    tmp_path: Path, ministack: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "PART_BYTES", 5 << 20)
    bucket = ministack.new_names()[0]
    await _bucket(ministack.endpoint, bucket)
    file = tmp_path / "00000001.seg"
    await asyncio.to_thread(file.write_bytes, bytes(range(256)) * (11 << 12))
    async with open_store(S3Address(bucket, "x"), ministack.endpoint) as store:
        await store.upload(file)
        found = io.BytesIO()
        await store.download(file.name, found, max_bytes=PLENTY)
        assert found.getvalue() == await asyncio.to_thread(file.read_bytes)
    async with SESSION.create_client("s3", endpoint_url=ministack.endpoint, region_name=REGION) as client:
        upload_part = client.upload_part

        async def second_fails(**named: Any) -> Any:
            if named["PartNumber"] == 2:
                raise ConnectionResetError
            return await upload_part(**named)

        client.upload_part = second_fails
        store = ObjectStore(client, S3Address(bucket, "x"))
        with pytest.raises(CatalogError, match="cannot be reached"):
            await store.upload(file, "00000002.seg")
        assert {each.name for each in await store.files()} == {file.name}
        assert "Uploads" not in await client.list_multipart_uploads(Bucket=bucket)
        # What a killed program has begun is given up by the next one.
        await client.create_multipart_upload(Bucket=bucket, Key="x/00000003.seg")
        await store.abort_uploads(timedelta(days=1))
        assert len((await client.list_multipart_uploads(Bucket=bucket))["Uploads"]) == 1
        await store.abort_uploads(timedelta(seconds=-1))
        assert "Uploads" not in await client.list_multipart_uploads(Bucket=bucket)
