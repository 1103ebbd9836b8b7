"""Finds the music files in folders, and names whatever is left out."""

import codecs
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fingerprint.catalog.endings import AUDIO_SUFFIXES, COMPANION_SUFFIXES
from fingerprint.catalog.file_outcomes import Unreadable
from fingerprint.catalog.file_stamps import FileStamp, file_stamp
from fingerprint.catalog.legacy_text import UnknownEncodingError, decode_text
from fingerprint.catalog.listings import Listings
from fingerprint.domain.text import composed

IGNORE_NAME: Final = ".twitchaudioignore"
MAX_IGNORE_BYTES: Final = 1 << 20
_LINE_END: Final = re.compile(r"\r\n|\r|\n")

_KINDS: Final = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A music file: its absolute path, the folder that was walked (empty for a file named itself), its stamp."""

    path: str
    root: str
    stamp: FileStamp


@dataclass(slots=True)
class Walk:
    """What a walk found, in the order of the names.

    `skipped`: files and folders that were left out, each with the reason. `missing`: paths that do not exist.
    `roots`: the folders that were walked. `closed`: those in them that could not be read. `left_out`: what
    patterns leave out, a folder with a slash at its end. `listings`: the names in the others.
    """

    files: list[FoundFile] = field(default_factory=list[FoundFile])
    skipped: list[Unreadable] = field(default_factory=list[Unreadable])
    missing: list[Path] = field(default_factory=list[Path])
    roots: list[str] = field(default_factory=list[str])
    closed: list[str] = field(default_factory=list[str])
    left_out: set[str] = field(default_factory=set[str])
    listings: Listings = field(default_factory=Listings)

    def leaves_out(self, path: str) -> bool:
        """Whether patterns leave out a file, or a folder that it is in."""
        if path in self.left_out:
            return True
        end = path.rfind("/")
        while end > 0:
            if path[: end + 1] in self.left_out:
                return True
            end = path.rfind("/", 0, end)
        return False


class Patterns:
    """Patterns of files that are left out, as in a `.gitignore`, for paths below a folder.

    `*.wav` fits in every folder, `live/` only folders, `/demo/*.mp3` and `a/b` from this folder on; `**` stands
    for any folders, and `!` before a pattern takes files in again. The last pattern that fits counts.
    """

    def __init__(self, base: str, lines: Iterable[str]) -> None:
        self._base = base.rstrip("/") + "/"
        self._rules = [rule for line in lines if (rule := _rule(line)) is not None]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def leave_out(self, path: str, *, folder: bool) -> bool | None:
        """True to leave a path out, False to take it in again, None when no pattern fits."""
        if not path.startswith(self._base):
            return None
        relative = composed(path[len(self._base) :])
        for expression, left_out, folders_only in reversed(self._rules):
            if (folder or not folders_only) and expression.fullmatch(relative):
                return left_out
        return None


def exclusions(root: str, patterns: Sequence[str]) -> list[Patterns]:
    """The patterns of `catalog exclude` for a folder that is walked: absolute ones, and others from there on."""
    found = [
        Patterns("/", [pattern for pattern in patterns if pattern.startswith("/")]),
        Patterns(root, [pattern for pattern in patterns if not pattern.startswith("/")]),
    ]
    return [each for each in found if each]


def is_pattern(line: str) -> bool:
    """Whether a line can leave anything out: it is no comment, not empty, and no class of letters is broken."""
    return _rule(line) is not None


def _rule(line: str) -> tuple[re.Pattern[str], bool, bool] | None:
    text = composed(line.strip())
    if not text or text.startswith("#"):
        return None
    left_out = not text.startswith("!")
    text = text.removeprefix("!").removeprefix("\\")
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    text = text.lstrip("/")
    if not text:
        return None
    expression = "" if anchored else "(?:.*/)?"
    for part in re.findall(r"\*\*/|/\*\*$|\*\*|\*|\?|\[!?[^\]]+\]|.", text, re.DOTALL):
        match part:
            case "**/":
                expression += "(?:.*/)?"
            case "/**":
                expression += "/.*"
            case "**":
                expression += ".*"
            case "*":
                expression += "[^/]*"
            case "?":
                expression += "[^/]"
            case _ if part.startswith("[") and len(part) > 1:
                inner = part[1:-1].replace("\\", r"\\")
                expression += f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
            case _:
                expression += re.escape(part)
    try:
        return re.compile(expression, re.DOTALL), left_out, folders_only
    except re.error:
        return None


def walk(paths: Iterable[Path], *, excluded: Sequence[str] = ()) -> Walk:
    """The music files that paths stand for.

    A file that is named itself always counts as music. Files are in the order of their names, each once; hidden
    files and folders are left out, as are those that `excluded` or a `.twitchaudioignore` in a folder names.
    """
    found = Walk()
    seen: set[str] = set()
    for path in paths:
        absolute = os.path.abspath(path)  # noqa: PTH100 - as text; links stay as they are
        try:
            status = os.stat(absolute)  # noqa: PTH116 - likewise
        except (FileNotFoundError, NotADirectoryError):
            found.missing.append(path)
            continue
        except OSError as error:
            found.skipped.append(Unreadable(path, f"it cannot be read: {error.strerror}"))
            continue
        except ValueError:
            found.missing.append(path)
            continue
        if stat.S_ISDIR(status.st_mode):
            found.roots.append(absolute)
            _walk_folder(found, seen, absolute, excluded)
        elif (kind := _kind(status)) is not None:
            found.skipped.append(Unreadable(Path(absolute), f"it is {kind}, no file"))
        elif absolute not in seen:
            seen.add(absolute)
            found.files.append(FoundFile(absolute, "", file_stamp(status)))
    return found


def _walk_folder(found: Walk, seen: set[str], root: str, excluded: Sequence[str]) -> None:
    left: list[tuple[str, list[Patterns]]] = [(root, exclusions(root, excluded))]
    while left:
        folder, patterns = left.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            found.closed.append(folder)
            found.skipped.append(Unreadable(Path(folder), f"the folder cannot be read: {error.strerror}"))
            continue
        found.listings.note(folder, [entry.name for entry in entries])
        patterns = [*patterns, *_own_patterns(found, folder, entries)]
        below: list[tuple[str, list[Patterns]]] = []
        for entry in entries:
            hidden = entry.name.startswith(".")
            if hidden and not patterns:
                continue
            try:
                is_folder = entry.is_dir()
                if _left_out(patterns, entry.path, folder=is_folder):
                    found.left_out.add(f"{entry.path}/" if is_folder else entry.path)
                    continue
                if hidden:
                    continue
                if is_folder:
                    if entry.is_symlink():
                        reason = "it is a link to a folder, which is not followed: name the folder itself"
                        found.skipped.append(Unreadable(Path(entry.path), reason, by_choice=True))
                    else:
                        below.append((entry.path, patterns))
                elif entry.path not in seen:
                    _take_file(found, seen, entry, root)
            except OSError as error:
                found.skipped.append(Unreadable(Path(entry.path), f"it cannot be read: {error.strerror}"))
        left.extend(reversed(below))


def _take_file(found: Walk, seen: set[str], entry: "os.DirEntry[str]", root: str) -> None:
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - as text, for speed
    if suffix in COMPANION_SUFFIXES and entry.is_file():
        return
    if entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110 - likewise
        found.skipped.append(Unreadable(Path(entry.path), "it is a link to a file that does not exist"))
        return
    status = entry.stat()
    kind = _kind(status)
    if kind is not None:
        found.skipped.append(Unreadable(Path(entry.path), f"it is {kind}, no file", by_choice=True))
    elif suffix in AUDIO_SUFFIXES:
        seen.add(entry.path)
        found.files.append(FoundFile(entry.path, root, file_stamp(status)))
    else:
        reason = "its name does not end like an audio file's"
        found.skipped.append(Unreadable(Path(entry.path), reason, by_choice=True))


def _kind(status: os.stat_result) -> str | None:
    if stat.S_ISREG(status.st_mode):
        return None
    return _KINDS.get(stat.S_IFMT(status.st_mode), "something else")


def _own_patterns(found: Walk, folder: str, entries: "Sequence[os.DirEntry[str]]") -> list[Patterns]:
    if not any(entry.name == IGNORE_NAME for entry in entries):
        return []
    path = Path(folder, IGNORE_NAME)
    try:
        if not path.is_file():
            found.skipped.append(
                Unreadable(path, "it is not a file, so its patterns are not read", by_choice=True)
            )
            return []
        with path.open("rb") as file:
            content = file.read(MAX_IGNORE_BYTES + 1)
    except OSError as error:
        found.skipped.append(Unreadable(path, f"it cannot be read: {error.strerror}"))
        return []
    if len(content) > MAX_IGNORE_BYTES:
        found.skipped.append(Unreadable(path, f"of its patterns, the first {MAX_IGNORE_BYTES >> 20} MiB are used"))
    lines = _pattern_lines(content[:MAX_IGNORE_BYTES])
    for number, line in enumerate(lines, 1):
        if line[0].strip() and not line[0].lstrip().startswith("#") and not any(map(is_pattern, line)):
            reason = f"line {number} is not a pattern that a file can fit: {line[0].strip()[:80]!r}"
            found.skipped.append(Unreadable(path, reason))
    return [Patterns(folder, [text for line in lines for text in line])]


def _pattern_lines(content: bytes) -> list[list[str]]:
    """The lines of a file of patterns, whatever program wrote it.

    A line in an encoding of Windows may mean names in that encoding, too, so it is there in both readings.
    """
    as_names = content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    try:
        text = decode_text(content)
    except UnknownEncodingError:
        text = as_names
    if "\0" in as_names:
        as_names = text  # UTF-16, which names are never in
    read, named = (_LINE_END.split(each) for each in (text, as_names))
    if len(read) != len(named):
        return [[line] for line in (*named, *read)]
    return [list(dict.fromkeys(pair)) for pair in zip(read, named, strict=True)]


def _left_out(patterns: Sequence[Patterns], path: str, *, folder: bool) -> bool:
    for each in reversed(patterns):
        answer = each.leave_out(path, folder=folder)
        if answer is not None:
            return answer
    return False
