"""The arguments of `twitchaudio catalog`."""

import argparse
from functools import partial
from importlib import import_module
from typing import cast

from server.cli import Run, Subparsers, add_actions, add_catalog_argument, add_command, file_path


def register(commands: Subparsers) -> None:
    """Add the `catalog` command to the `twitchaudio` command line."""
    description = "The local catalog: the music that can be recognized without an account or a network."
    catalog = commands.add_parser("catalog", help="the local catalog of music", description=description)
    actions = add_actions(catalog, "ACTION")
    action = partial(_add_action, actions)
    add = action(
        "add", "indexing", "add_music", "index music files and folders; safe to interrupt and to run again"
    )
    add.add_argument("paths", nargs="+", type=file_path, metavar="PATH")
    sync = action(
        "sync",
        "indexing",
        "sync_folders",
        "bring the catalog up to date with folders: new, moved, changed, missing",
    )
    sync.add_argument(
        "paths",
        nargs="*",
        type=file_path,
        metavar="ROOT",
        help="folders (default: those that were indexed before)",
    )
    sync.add_argument("--dry-run", action="store_true", help="only print what would happen")
    sync.add_argument(
        "--settle",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="leave files for the next time that changed less than this ago: they may still be copied",
    )
    sync.add_argument("--force", action="store_true", help="mark files as missing even if very many are")
    rebuild_ = action(
        "rebuild",
        "indexing",
        "rebuild_catalog",
        "make the catalog again with this version's fingerprint and reading of tags",
    )
    rebuild_.add_argument(
        "--force",
        action="store_true",
        help="go on even if tracks are lost because their music is gone",
    )
    for parser in (add, sync, rebuild_):
        parser.add_argument(
            "--workers", type=_positive, metavar="N", help="processes that read files (default: one a core)"
        )
        parser.add_argument(
            "--failed", type=file_path, metavar="LOG", help="write what could not be read to a file, one line each"
        )
    for parser in (add, sync):
        parser.add_argument(
            "--progress",
            choices=("bar", "json"),
            default="bar",
            help="on standard error: a bar, on a terminal only, or for programs a JSON object a line",
        )
    action("list", "listing", "list_tracks", "list all tracks")
    search = action(
        "search", "listing", "search_tracks", "list the tracks whose tags or path hold every word of a text"
    )
    search.add_argument("text", nargs="+", metavar="TEXT")
    remove = action("remove", "removal", "remove_tracks", "remove tracks by id, text or folder; the files stay")
    remove.add_argument("ids", nargs="*", metavar="ID")
    remove.add_argument("--search", metavar="TEXT", help="the tracks whose tags or path hold every word")
    remove.add_argument(
        "--under", type=file_path, metavar="PATH", help="the tracks of a file, or of a folder's files"
    )
    remove.add_argument("--owner", metavar="NAME", help="the tracks that were imported for an owner")
    export = action(
        "export",
        "copies",
        "export_catalog",
        "write fingerprints, tags and links of tracks to a file, without any sound",
    )
    export.add_argument("file", type=file_path, metavar="FILE")
    export.add_argument("text", nargs="*", metavar="TEXT", help="only tracks whose tags or path hold every word")
    export.add_argument("--no-covers", action="store_true", help="leave the covers out")
    import_ = action("import", "copies", "import_export", "merge such a file into the catalog")
    import_.add_argument("file", type=file_path, metavar="FILE")
    import_.add_argument(
        "--owner",
        required=True,
        metavar="NAME",
        help="whose tracks these are, for `remove --owner NAME`",
    )
    action("missing", "listing", "list_missing", "list the tracks whose files `sync` no longer finds")
    prune = action("prune", "removal", "prune_tracks", "remove the tracks whose files `sync` no longer finds")
    prune.add_argument(
        "--force", action="store_true", help="also if so many are gone that a disk may not be mounted"
    )
    duplicates = action(
        "duplicates",
        "duplicates",
        "list_duplicates",
        "list recordings that are in several files, and those that share sound",
    )
    duplicates.add_argument(
        "--exact", action="store_true", help="only recordings that are the same, not those that share sound"
    )
    exclude = action(
        "exclude", "removal", "exclude_files", "leave files out of the catalog by patterns, from the next sync on"
    )
    exclude.add_argument(
        "patterns",
        nargs="*",
        metavar="PATTERN",
        help="as in a .gitignore (default: list the patterns)",
    )
    exclude.add_argument("--remove", action="store_true", help="remove the patterns")
    backup = action(
        "backup", "copies", "back_up_catalog", "copy the catalog to a new folder, also while it is in use"
    )
    backup.add_argument("destination", type=file_path, metavar="DEST")
    restore_ = action(
        "restore", "copies", "restore_catalog", "restore a copy made by `catalog backup`, in one step"
    )
    restore_.add_argument("source", type=file_path, metavar="SRC")
    restore_.add_argument(
        "--force", action="store_true", help="replace a catalog that holds tracks, or one that is damaged"
    )
    action("stats", "listing", "show_stats", "print how large the catalog is")
    action("verify", "listing", "verify_catalog", "read the whole catalog and say what is damaged")


def _add_action(actions: Subparsers, name: str, module: str, function: str, text: str) -> argparse.ArgumentParser:
    parser = add_command(actions, name, text)
    parser.set_defaults(run=partial(_run, module, function))
    add_catalog_argument(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    return parser


def _run(module: str, function: str, arguments: argparse.Namespace) -> int | None:
    """Run an action, of which only the module that does it is loaded: most need none of the others."""
    from server.cli.catalog.place import run_in_place  # noqa: PLC0415 - likewise

    run = cast("Run", getattr(import_module(f"server.cli.catalog.{module}"), function))
    return run_in_place(run, arguments)


def _seconds(text: str) -> float:
    """A number of seconds; argparse names the argument when it is none."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _positive(text: str) -> int:
    """A whole number from 1; argparse names the argument when it is none."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value
