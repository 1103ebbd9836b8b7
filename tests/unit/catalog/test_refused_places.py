"""Every `catalog` command, on folders and files that it cannot use: one line, an exit status, nothing changed."""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.manifest import MANIFEST_NAME
from server.cli import main
from tests.unit.catalog.test_exchange import fill

NOBODY = 65_534
READERS = (
    "list",
    "search Song",
    "stats",
    "verify",
    "missing",
    "duplicates",
    "exclude",
    "export NEW",
    "backup NEW",
)
BEGINNERS = ("add MUSIC", "sync MUSIC", "import SONGS --owner X", "restore COPY")
CHANGERS = ("remove --search Song", "prune --force", "exclude x", "rebuild", "sync")
DRY = "sync --dry-run MUSIC"
ALL = (*READERS, *BEGINNERS, *CHANGERS, DRY)


@dataclass(frozen=True)
class Shelf:
    """A catalog of two tracks, an export and a copy of it, and a folder where all users may write."""

    root: Path

    def words(self, command: str, catalog: Path) -> list[str]:
        names = {
            "NEW": self.root / "open" / "new",
            "MUSIC": self.root / "music",
            "SONGS": self.root / "songs",
            "COPY": self.root / "copy",
        }
        return ["catalog", *(str(names.get(word, word)) for word in command.split()), "--catalog", str(catalog)]

    def put(self) -> Path:
        """A new copy of the catalog, which belongs to all."""
        catalog = Path(tempfile.mkdtemp(dir=self.root)) / "catalog"
        shutil.copytree(self.root / "good", catalog)
        catalog.parent.chmod(0o777)
        for path in (catalog, *catalog.iterdir()):
            _give_away(path)
        return catalog

    def clear(self) -> None:
        new = self.root / "open" / "new"
        shutil.rmtree(new, ignore_errors=True)
        new.unlink(missing_ok=True)


def _give_away(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


@contextlib.contextmanager
def without_privileges() -> Generator[None]:
    """The administrator may read everything: act as another user."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def run(words: list[str]) -> tuple[int, str, list[str]]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), without_privileges():
        status = main(words)
    return status, out.getvalue(), err.getvalue().splitlines()


def content(folder: Path) -> dict[str, bytes | None]:
    """What is in a folder, except locks."""
    if not folder.is_dir():
        return {"": folder.read_bytes() if folder.is_file() else None}
    found = {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
    return {name: content for name, content in found.items() if not name.endswith("writer.lock")}


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    root = Path(tempfile.mkdtemp(prefix="twitchaudio-places-"))  # below pytest's own folders others may not look
    root.chmod(0o755)
    (root / "music").mkdir()
    (root / "open").mkdir()
    (root / "open").chmod(0o777)
    fill(root / "good", 1, 2)
    (root / "good" / "writer.lock").unlink()
    at = ["--catalog", str(root / "good")]
    assert main(["catalog", "export", str(root / "songs"), *at]) == 0
    assert main(["catalog", "backup", str(root / "copy"), *at]) == 0
    yield Shelf(root)
    shutil.rmtree(root)


def mode(bits: int) -> Callable[[Path], None]:
    return lambda catalog: catalog.chmod(bits)


def missing(catalog: Path) -> None:
    shutil.rmtree(catalog)


def a_file(catalog: Path) -> None:
    shutil.rmtree(catalog)
    catalog.write_text("my thesis")


def a_loop(catalog: Path) -> None:
    shutil.rmtree(catalog)
    catalog.symlink_to(catalog.name)


def manifest(content: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(catalog: Path) -> None:
        path = catalog / MANIFEST_NAME
        path.write_bytes(content(path.read_bytes()))

    return damage


def no_manifest(catalog: Path) -> None:
    (catalog / MANIFEST_NAME).unlink()


def manifest_is_a_folder(catalog: Path) -> None:
    no_manifest(catalog)
    (catalog / MANIFEST_NAME).mkdir()


def manifest_is_closed(catalog: Path) -> None:
    (catalog / MANIFEST_NAME).chmod(0)


def segment(change: Callable[[Path], object]) -> Callable[[Path], None]:
    return lambda catalog: (change(next(catalog.glob("*.seg"))), None)[1]


@dataclass(frozen=True)
class State:
    """What is done to a catalog, and which commands fail then; others may work."""

    make: Callable[[Path], None]
    fails: tuple[str, ...] = ALL


STATES = {
    "may not be read": State(mode(0o300), BEGINNERS),
    "may not be written": State(mode(0o500), (*BEGINNERS, *CHANGERS)),
    "may not be entered": State(mode(0o600)),
    "may not be used at all": State(mode(0)),
    "is missing": State(missing, (*READERS, *CHANGERS)),
    "is a file": State(a_file),
    "is a link to itself": State(a_loop),
    "has no manifest": State(no_manifest),
    "has half a manifest": State(manifest(lambda raw: raw[: len(raw) // 2])),
    "has a manifest of zeros": State(manifest(lambda raw: bytes(len(raw)))),
    "has a folder as its manifest": State(manifest_is_a_folder),
    "has a closed manifest": State(manifest_is_closed),
    "lacks an index file": State(segment(Path.unlink)),
    "has a closed index file": State(segment(lambda path: path.chmod(0))),
    "has half an index file": State(segment(lambda path: path.write_bytes(path.read_bytes()[:5000]))),
}


@pytest.mark.parametrize("name", STATES)
def test_what_cannot_be_used_is_said_in_one_line_and_left_as_it_is(shelf: Shelf, name: str) -> None:
    state, catalog = STATES[name], shelf.put()
    state.make(catalog)
    before = content(catalog)
    for command in ALL:
        if name == "is missing" and command in (*BEGINNERS, DRY):
            continue  # these begin a catalog
        status, out, err = run(shelf.words(command, catalog))
        said = f"{command}: {status} {out!r} {err}"
        assert status in (0, 1, 2), said
        assert len(err) <= 1, said
        assert not err or err[0].startswith(("twitchaudio: ", "No ")), said
        assert status == 0 or err, said
        assert status or command not in state.fails, said
        shelf.clear()
    assert content(catalog) == before
    if name.startswith("may not"):
        catalog.chmod(0o700)
        assert Catalog(catalog).verify() == []


def test_files_of_a_command_that_cannot_be_used_are_said_in_one_line(shelf: Shelf) -> None:
    catalog, root = shelf.put(), shelf.root / "open"
    (root / "thesis").write_text("my thesis\n")
    (root / "album").mkdir()
    os.mkfifo(root / "fifo")
    (root / "closed").write_bytes((shelf.root / "songs").read_bytes())
    (root / "closed").chmod(0)
    own = sorted(map(str, catalog.iterdir()))
    before = content(catalog) | content(root)
    places = [
        shelf.root / "new",
        root / "thesis",
        root / "thesis" / "x",
        root / "album",
        root / "fifo",
        root / "no" / "x",
    ]
    places += [root / ("n" * 256), root / "closed", *map(Path, own)]
    for command in ("export PLACE", "import PLACE --owner X", "restore PLACE --force", "add MUSIC --failed PLACE"):
        for place in places:
            words = [str(place) if word == "PLACE" else word for word in shelf.words(command, catalog)]
            status, out, err = run(words)
            assert (status, out, len(err)) == (1, "", 1), (words, err)
            assert err[0].startswith("twitchaudio: "), err
    for place in (place for place in places if place != root / "no" / "x"):
        status, out, err = run(["catalog", "backup", str(place), "--catalog", str(catalog)])
        assert (status, out, len(err)) == (1, "", 1), (place, err)
    assert content(catalog) | content(root) == before
    assert Catalog(catalog).verify() == []


@pytest.mark.parametrize(
    "command", ["add", "sync", "export", "backup", "restore", "remove --under", "list --catalog"]
)
def test_an_empty_path_is_wrong_usage_and_not_this_folder(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["catalog", *command.split(), ""])
    assert exited.value.code == 2
    assert "takes a path" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (["remove", "--owner", " "], 2, "name what to remove"),
        (["remove", "--search", "zzz"], 1, "no track matches"),
        (["remove", "--owner", "Nobody"], 1, "no track matches"),
        (["remove", os.fsdecode(b"\xff")], 1, "there is no track"),
        (["exclude", "#x"], 2, "no file can fit"),
        (["exclude", ""], 2, "no file can fit"),
        (["exclude", "x", "!"], 2, "no file can fit"),
        (["exclude", "--remove"], 2, "name the patterns"),
        (["exclude", "--remove", "never"], 1, "there is no pattern never"),
        (["import", "SONGS", "--owner", " "], 2, "takes a name"),
        (["import", "SONGS", "--owner", "a\nb"], 2, "takes a name"),
        (["import", "SONGS", "--owner", os.fsdecode(b"a\xff")], 2, "takes a name"),
        (["import", "SONGS", "--owner", "x" * 201], 2, "takes a name"),
    ],
)
def test_what_does_nothing_says_so(shelf: Shelf, command: list[str], status: int, said: str) -> None:
    catalog = shelf.put()
    before = content(catalog)
    words = [str(shelf.root / "songs") if word == "SONGS" else word for word in command]
    found, _, err = run(["catalog", *words, "--catalog", str(catalog)])
    assert (found, len(err)) == (status, 1)
    assert said in err[0]
    assert {name: content for name, content in content(catalog).items() if name in before} == before
