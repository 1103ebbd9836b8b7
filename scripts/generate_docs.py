"""Writes the generated parts of docs/ anew; with --check, changes nothing and fails when one is stale."""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

from fingerprint.domain.problems import PROBLEM_KINDS
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import settings_table
from fingerprint.upstream_settings import DynamoDbSettings, LinkSettings, ProviderSettings, TwitchSettings
from server.cli import make_parser
from server.settings import ServerSettings

DOCS: Final = Path(__file__).parent.parent / "docs"


def settings_rows() -> str:
    """The table of settings."""
    rows = ["| variable | default | meaning | takes |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{info.variable}` | {info.default_text} | {info.help} | {info.takes} |"
        for info in settings_table(
            PipelineSettings, ProviderSettings, LinkSettings, DynamoDbSettings, TwitchSettings, ServerSettings
        )
    ]
    return "\n".join(rows)


def problem_rows() -> str:
    """The table of problem codes."""
    rows = ["| code | status | title |", "| --- | --- | --- |"]
    rows += [f"| `{code}` | {kind.status} | {kind.title} |" for code, kind in PROBLEM_KINDS.items()]
    return "\n".join(rows)


def troubleshooting_rows() -> str:
    """What each problem is called on pages, and what helps."""
    rows = ["| code | what people see | what helps |", "| --- | --- | --- |"]
    rows += [f"| `{code}` | {kind.heading} | {kind.next_step} |" for code, kind in PROBLEM_KINDS.items()]
    return "\n".join(rows)


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    # argparse has no public way to list a parser's commands.
    for action in parser._actions:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        choices = cast("object", vars(action).get("choices"))
        if isinstance(choices, dict):
            for child in cast("dict[str, object]", choices).values():
                if isinstance(child, argparse.ArgumentParser):
                    yield from _parsers(child)


def command_line() -> str:
    """The help text of every command, at a fixed width."""
    texts: list[str] = []
    for parser in _parsers(make_parser()):
        parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=100)
        texts.append(f"```text\n{parser.format_help().rstrip()}\n```")
    return "\n\n".join(texts)


GENERATED: Final = {
    ("settings.md", "settings"): settings_rows,
    ("api.md", "problems"): problem_rows,
    ("cli.md", "commands"): command_line,
    ("troubleshooting.md", "troubleshooting"): troubleshooting_rows,
}


def main() -> int:
    """Write or check every generated part."""
    check = "--check" in sys.argv[1:]
    stale: list[str] = []
    for (name, part), make in GENERATED.items():
        path = DOCS / name
        text = path.read_text(encoding="utf-8")
        begin, end = f"<!-- generated: {part} -->", f"<!-- end: {part} -->"
        if begin not in text or end not in text:
            print(f"docs/{name} lacks the lines {begin} and {end}", file=sys.stderr)
            return 1
        block = f"{begin}\n{make()}\n{end}"
        fresh = re.sub(
            f"{re.escape(begin)}.*?{re.escape(end)}", lambda _, block=block: block, text, flags=re.DOTALL
        )
        if fresh != text:
            stale.append(f"docs/{name}")
            if not check:
                path.write_text(fresh, encoding="utf-8")
    if check and stale:
        print(f"stale: {', '.join(stale)}; run scripts/check", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
